"""Traffic to sandboxes: to envd, or to whatever listens on another port.

Source: e2b-dev/infra packages/shared/pkg/proxy/handler.go and template/.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from harness.emulator.answers import ApiError, error_answer, proxy_error
from harness.emulator.envd import ENVD_PORT, Envd
from harness.emulator.exchange import exchange_of
from harness.emulator.interpreter import INTERPRETER_PORT
from harness.emulator.isolation import SandboxGoneError
from harness.emulator.life import SandboxLife
from harness.emulator.proxy import TRAFFIC_HEADER, PortProxy, admits_traffic
from harness.emulator.routing import BadTargetError, Target
from harness.emulator.service import EmulatedService

__all__ = ["SandboxTraffic"]

NO_INTERPRETER = "this emulator runs no code: harness emulator serve --interpreter"


class SandboxTraffic:
    """Answers every request that is for a sandbox.

    Args:
        service: the emulator.
    """

    def __init__(self, service: EmulatedService) -> None:
        self._service = service
        self._envd = Envd(service)
        self._ports = PortProxy()

    async def close(self) -> None:
        """Ends what outlives a request."""
        await self._envd.close()

    async def serve(self, request: Request, target: Target | BadTargetError, send: Send) -> None:
        """Answers one request."""
        answer = await self._guarded(request, target)
        await answer(request.scope, request.receive, send)

    async def _guarded(self, request: Request, target: Target | BadTargetError) -> ASGIApp:
        if isinstance(target, BadTargetError):
            return PlainTextResponse(f"{target}\n", 400)
        exchange_of(request).entry.sandbox_id = target.sandbox_id
        try:
            life = await self._running(target.sandbox_id)
        except ApiError as error:
            return error_answer(error)
        if life is None:
            return _not_found(request, target.sandbox_id)
        return self._while_it_lives(request, life, target)

    async def _running(self, sandbox_id: str) -> SandboxLife | None:
        life = self._service.sandboxes.find(sandbox_id)
        if life is None or life.running:
            return life
        return life if await self._service.sandboxes.auto_resume(life) else None

    def _while_it_lives(self, request: Request, life: SandboxLife, target: Target) -> ASGIApp:
        """Answers, and is cut off when the sandbox ends."""
        exchange = exchange_of(request)

        async def call(scope: Scope, receive: Receive, send: Send) -> None:
            life.exchanges.add(exchange)
            life.requests += 1
            try:
                answer = await self._answer(request, life, target)
                await answer(scope, receive, send)
            except SandboxGoneError:
                if exchange.started:
                    exchange.reset()
                else:
                    await _not_found(request, life.sandbox_id)(scope, receive, send)
            finally:
                life.exchanges.discard(exchange)

        return call

    async def _answer(self, request: Request, life: SandboxLife, target: Target) -> Response:
        try:
            if target.port == ENVD_PORT:
                return await self._envd.answer(request, life)
            refusal = _traffic_refusal(request, life)
            if target.port == INTERPRETER_PORT and not self._service.sandboxes.interpreter:
                exchange_of(request).entry.notes.append(NO_INTERPRETER)
            return refusal or await self._ports.answer(request, life, target.port)
        except ApiError as error:
            return error_answer(error)


def _not_found(request: Request, sandbox_id: str) -> Response:
    return proxy_error(request, 502, "The sandbox was not found", sandboxId=sandbox_id)


def _traffic_refusal(request: Request, life: SandboxLife) -> Response | None:
    if admits_traffic(life, request.headers):
        return None
    given = request.headers.get(TRAFFIC_HEADER)
    problem = (
        f"Provided token in header '{TRAFFIC_HEADER}' is invalid"
        if given
        else f"Token header '{TRAFFIC_HEADER}' is missing"
    )
    return proxy_error(
        request,
        403,
        f"Sandbox is secured with traffic access token. {problem}",
        sandboxId=life.sandbox_id,
    )
