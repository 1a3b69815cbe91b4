"""The emulator's one listener: who answers which request, and under what weather.

Requests go to a sandbox where headers, host or signature name one, to the admin
interface below `/_harness`, and to the control plane otherwise.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from harness.emulator.admin import PREFIX as ADMIN_PREFIX
from harness.emulator.admin import Admin
from harness.emulator.answers import ApiError, JsonAnswer, error_answer
from harness.emulator.control_plane import ControlPlane
from harness.emulator.envd import ENVD_PORT
from harness.emulator.exchange import Exchange
from harness.emulator.faults import Fault
from harness.emulator.ledger import Entry
from harness.emulator.life import EndReason
from harness.emulator.routing import BadTargetError, Target, find_signed, target_of
from harness.emulator.sandbox_traffic import SandboxTraffic
from harness.emulator.service import EmulatedService

__all__ = ["EmulatorApplication"]

_LOG = logging.getLogger("harness.emulator")
START_PATH = "/process.Process/Start"
# Source: e2b-dev/infra packages/envd/internal/api/upload.go
_BODILESS = frozenset({204, 205, 304})  # a body would be read as the next answer
NO_DISK_SPACE = "not enough disk space available"


class EmulatorApplication:
    """The ASGI application of one emulator.

    Args:
        service: the emulator.
        on_request: called with each finished request that is not the admin's.
    """

    def __init__(
        self, service: EmulatedService, *, on_request: Callable[[Entry], None] | None = None
    ) -> None:
        self.service = service
        self._control_plane = ControlPlane(service)
        self._traffic = SandboxTraffic(service)
        self._admin = Admin(service, on_reset=self._control_plane.reset)
        self._on_request = on_request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["path"].startswith(f"{ADMIN_PREFIX}/"):
            await self._admin.answer(scope, receive, send)
            return
        entry = self.service.ledger.open(
            time=self.service.clock.now(),
            method=scope["method"],
            path=scope["raw_path"].decode("latin-1"),
            query=scope["query_string"].decode("latin-1"),
        )
        headers = Headers(scope=scope)
        entry.idempotency_key = headers.get("idempotency-key", "")
        ownership = self.service.ownership
        entry.run, entry.test = ownership.run_of(headers), ownership.test_id
        exchange = Exchange(scope, receive, send, entry)
        try:
            await self._answer(exchange, scope)
        except asyncio.CancelledError:
            raise
        except Exception:  # noqa: BLE001 - the border where a failure becomes an answer
            _LOG.exception("%s %s failed", entry.method, entry.path)
            entry.notes.append("internal error of the emulator")
            await _internal_error(exchange, scope)
        finally:
            exchange.close()
            if self._on_request is not None:
                self._on_request(entry)

    async def close(self) -> None:
        """Ends what outlives a request."""
        await self._traffic.close()

    async def _answer(self, exchange: Exchange, scope: Scope) -> None:
        request = Request(scope, exchange.receive, exchange.send)
        target = self._target(request)
        sandbox_id = target.sandbox_id if isinstance(target, Target) else _id_in(request)
        exchange.entry.about = sandbox_id
        fault = self.service.faults.take(request.method, exchange.entry.path, sandbox_id)
        if fault is not None and await self._weather(fault, exchange, scope, sandbox_id):
            return
        if target is not None:
            await self._traffic.serve(request, target, exchange.send)
            return
        if _is_signed_for_nobody(request):
            exchange.entry.area = "envd"
            answer = error_answer(ApiError(401, "invalid signature"))
        else:
            answer = await self._control_plane.answer(request)
        await answer(scope, exchange.receive, exchange.send)

    def _target(self, request: Request) -> Target | BadTargetError | None:
        try:
            target = target_of(request.headers)
        except BadTargetError as error:
            return error
        if target is None and request.url.path == "/files":
            signer = find_signed(request, self.service.sandboxes.alive())
            if signer is not None:
                return Target(sandbox_id=signer.sandbox_id, port=ENVD_PORT)
        if target is not None and target.port == ENVD_PORT and self._asks_the_api(request):
            return None
        return target

    def _asks_the_api(self, request: Request) -> bool:
        """Whether a request to the API names a sandbox in its headers, too.

        Here both have one address. Source: e2b 2.20.0 e2b/sandbox_sync/main.py, which
        adds the sandbox's headers to all that a connected client asks.
        """
        if "x-api-key" not in request.headers:
            return False
        raw_path = request.scope["raw_path"].decode("latin-1")
        return raw_path != "/health" and bool(self._control_plane.table.methods(raw_path))

    async def _weather(
        self, fault: Fault, exchange: Exchange, scope: Scope, sandbox_id: str
    ) -> bool:
        """Applies a fault; whether it took the request's answer upon itself."""
        exchange.entry.fault, exchange.entry.sandbox_id = fault.fault_id, sandbox_id
        exchange.cut_after_bytes = fault.cut_after_bytes
        exchange.truncate_after_bytes = fault.truncate_after_bytes
        exchange.first_byte_s = fault.first_byte_s
        exchange.hang = fault.hang
        if fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        if fault.vanish and self.service.sandboxes.find(sandbox_id) is not None:
            await self.service.sandboxes.kill(sandbox_id, EndReason.FAULT)
        if fault.reset:
            exchange.reset()
            return True
        if fault.hang and exchange.entry.path != START_PATH:
            await _until_left(exchange)
            return True
        if fault.disk_full:
            await error_answer(ApiError(507, NO_DISK_SPACE))(scope, exchange.receive, exchange.send)
            return True
        if fault.status is None:
            return False
        await _faulty_answer(fault)(scope, exchange.receive, exchange.send)
        return True


def _id_in(request: Request) -> str:
    """The sandbox that a control plane's path names, empty where it names none."""
    parts = request.url.path.strip("/").split("/")
    if "sandboxes" not in parts[:2]:
        return ""
    after = parts[parts.index("sandboxes") + 1 :]
    return after[0].partition("-")[0] if after else ""


def _is_signed_for_nobody(request: Request) -> bool:
    """Whether it is for a sandbox's files by a signature that is no sandbox's.

    With one address for all of them, the signature is all that says which one is meant.
    """
    return request.url.path == "/files" and "signature" in request.query_params


async def _until_left(exchange: Exchange) -> None:
    while (await exchange.receive())["type"] != "http.disconnect":
        pass


def _faulty_answer(fault: Fault) -> Response:
    status = fault.status or 500
    headers = dict(fault.headers)
    if status in _BODILESS:
        return Response(status_code=status, headers=headers)
    if fault.body is None:
        return error_answer(ApiError(status, fault.message, headers=headers))
    if isinstance(fault.body, str):
        return PlainTextResponse(fault.body, status, headers)
    return JsonAnswer(fault.body, status=status, headers=headers)


async def _internal_error(exchange: Exchange, scope: Scope) -> None:
    if exchange.started:
        exchange.reset()
        return
    error = ApiError(500, "internal error of the emulator", error_code="internal_server_error")
    await error_answer(error)(scope, exchange.receive, exchange.send)
