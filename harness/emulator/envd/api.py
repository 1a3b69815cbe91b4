"""envd's front door: routes, access tokens, procedures.

Source: e2b-dev/infra packages/envd/spec/envd.yaml (routes; those marked internal are
not reachable through the sandbox URL).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from harness.emulator.answers import ApiError, JsonAnswer, empty_answer, error_answer, proxy_error
from harness.emulator.cors import envd_preflight, open_to_browsers
from harness.emulator.envd.call_log import CallLog
from harness.emulator.envd.caller import Caller, check_file_access, check_token
from harness.emulator.envd.compose import compose
from harness.emulator.envd.files import download, file_error, upload
from harness.emulator.envd.filesystem import FilesystemService
from harness.emulator.envd.procedures import Procedure, answer_call
from harness.emulator.envd.process import ProcessService
from harness.emulator.envd.watches import Watches
from harness.emulator.exchange import exchange_of
from harness.emulator.isolation import GuestError
from harness.emulator.life import SandboxLife
from harness.emulator.service import EmulatedService

__all__ = ["ENVD_PORT", "Envd"]

ENVD_PORT = 49983
_INTERNAL = frozenset({"/init", "/freeze", "/unfreeze", "/collapse", "/fsfreeze", "/fsthaw"})
_RESERVED = (
    "This endpoint is reserved for the E2B control plane and is not reachable through the "
    "sandbox URL"
)


class Envd:
    """Answers requests to port 49983 of a sandbox.

    Args:
        service: the emulator.

    Attributes:
        procedures: by path.
    """

    def __init__(self, service: EmulatedService) -> None:
        self._service = service
        self._watches = Watches()
        self._log = CallLog(service.chronicle.logs)
        self._processes = ProcessService(self._log)
        self.procedures: dict[str, Procedure] = {
            f"/{group.name}/{name}": procedure
            for group in (self._processes, FilesystemService(self._watches))
            for name, procedure in group.procedures().items()
        }

        self._routes: dict[str, Callable[[Caller], Awaitable[Response]]] = {
            "POST /files/compose": compose,
            "GET /envs": self._envs,
            "GET /metrics": self._metrics,
        }

    async def answer(self, request: Request, life: SandboxLife) -> Response:
        """The answer to one request to a running sandbox.

        Raises:
            SandboxGoneError: the sandbox died before anything was answered.
        """
        exchange_of(request).entry.area = "envd"
        if request.url.path in _INTERNAL:
            return proxy_error(request, 404, _RESERVED, path=request.url.path)
        preflight = envd_preflight(request)
        if preflight is not None:
            return preflight
        try:
            answer = await self._dispatch(request, life)
        except ApiError as error:
            answer = error_answer(error)
            answer.headers["x-content-type-options"] = "nosniff"
        except GuestError as error:
            answer = error_answer(file_error(error))
        return open_to_browsers(request, answer, envd=True)

    async def close(self) -> None:
        """Ends what outlives a request."""
        await self._processes.close()
        await self._watches.close()

    async def _dispatch(self, request: Request, life: SandboxLife) -> Response:
        route = f"{request.method} {request.url.path}"
        caller = Caller.of(request, life, exchange_of(request))
        if route == "GET /health":
            await life.guest.call("ping")
            return empty_answer()
        if request.url.path == "/files":
            return await self._files(caller)
        check_token(request, life)
        own = self._routes.get(route)
        if own is not None:
            return await own(caller)
        procedure = self.procedures.get(request.url.path)
        if procedure is None or request.method != "POST":
            return self._refusal(request, known=procedure is not None)
        answer = await answer_call(procedure, caller)
        return self._log.note(life, request.url.path, procedure.kind, answer)

    async def _files(self, caller: Caller) -> Response:
        if caller.request.method == "GET":
            check_file_access(caller.request, caller.life, "read", self._service.clock)
            return await download(caller)
        if caller.request.method == "POST":
            check_file_access(caller.request, caller.life, "write", self._service.clock)
            return await upload(caller)
        return Response(status_code=405, headers={"Allow": "GET, POST"})

    async def _envs(self, caller: Caller) -> Response:
        return JsonAnswer((await caller.guest.call("envs"))["envs"])

    async def _metrics(self, caller: Caller) -> Response:
        figures = await caller.guest.call("metrics")
        mebibyte = 1024 * 1024
        return JsonAnswer(
            figures
            | {
                "ts": int(self._service.clock.now().timestamp()),
                "mem_total_mib": figures["mem_total"] // mebibyte,
                "mem_used_mib": figures["mem_used"] // mebibyte,
            }
        )

    def _refusal(self, request: Request, *, known: bool) -> Response:
        name = f"{request.method} {request.url.path}"
        if known:
            return Response(status_code=405, headers={"Allow": "POST"})
        exchange_of(request).entry.notes.append(f"unknown route {name}")
        return error_answer(ApiError(404, f"the emulator's envd does not serve {name}"))
