"""The admin interface: `/_harness/…`, with a token of its own, never mixed with E2B's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from harness.clock import format_instant
from harness.emulator.admin.archive import tar_chunks
from harness.emulator.after_images import KeptImage
from harness.emulator.answers import ApiError, JsonAnswer, empty_answer, error_answer
from harness.emulator.attempts import attempts_after
from harness.emulator.credentials import seed_ids
from harness.emulator.faults import FaultError
from harness.emulator.internet_document import parse_internet
from harness.emulator.life import SandboxLife
from harness.emulator.routes import Route, RouteTable
from harness.emulator.service import EmulatedService
from harness.errors import UsageError

__all__ = ["PREFIX", "TOKEN_HEADER", "Admin"]

TOKEN_HEADER = "x-harness-token"  # noqa: S105 - a header's name
PREFIX = "/_harness"
HOME = "/home/user"
MAX_AHEAD_S = 100 * 365 * 24 * 3600  # dates end, and so do timers


class Admin:
    """Answers the harness.

    Args:
        service: the emulator.
        on_reset: called on reset, for what else is to be forgotten.
    """

    def __init__(self, service: EmulatedService, *, on_reset: Callable[[], None]) -> None:
        self._service = service
        self._on_reset = on_reset
        self._table = RouteTable(list(self.routes()))

    def routes(self) -> tuple[Route, ...]:
        """What it answers."""
        image = f"{PREFIX}/after-images/{{sandbox_id}}"
        return (
            Route(method="GET", pattern=f"{PREFIX}/health", handler=self.health),
            Route(method="POST", pattern=f"{PREFIX}/reset", handler=self.reset),
            Route(method="GET", pattern=f"{PREFIX}/sandboxes", handler=self.sandboxes),
            Route(method="PUT", pattern=f"{PREFIX}/test", handler=self.begin_test),
            Route(method="GET", pattern=f"{PREFIX}/after-images", handler=self.after_images),
            Route(method="GET", pattern=image, handler=self.after_image),
            Route(method="GET", pattern=f"{PREFIX}/ledger", handler=self.ledger),
            Route(method="PUT", pattern=f"{PREFIX}/internet", handler=self.set_internet),
            Route(method="GET", pattern=f"{PREFIX}/clock", handler=self.clock),
            Route(method="POST", pattern=f"{PREFIX}/clock", handler=self.advance),
            Route(method="GET", pattern=f"{PREFIX}/faults", handler=self.faults),
            Route(method="POST", pattern=f"{PREFIX}/faults", handler=self.add_fault),
            Route(method="DELETE", pattern=f"{PREFIX}/faults", handler=self.clear_faults),
        )

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        request = Request(scope, receive, send)
        try:
            answer = await self._dispatch(request)
        except ApiError as error:
            answer = error_answer(error)
        await answer(scope, receive, send)

    async def _dispatch(self, request: Request) -> Response:
        if not self._service.credentials.admits_admin(request.headers.get(TOKEN_HEADER)):
            raise ApiError(401, f"the header {TOKEN_HEADER} does not hold the admin token")
        match = self._table.find(request.method, request.scope["raw_path"].decode("latin-1"))
        if match is None:
            raise ApiError(404, f"no admin route {request.method} {request.url.path}")
        return await match.answer(request)

    async def health(self, request: Request) -> Response:
        """`GET /_harness/health`."""
        del request
        return empty_answer()

    async def reset(self, request: Request) -> Response:
        """`POST /_harness/reset`: no sandbox, no after-image, no request, no fault."""
        del request
        await self._service.sandboxes.reset()
        await self._service.snapshots.clear()
        await self._service.builder.reset()
        self._service.catalogue.reset()
        self._service.secrets.clear()
        await self._service.volumes.clear()
        seed_ids(self._service.seed)
        self._service.chronicle.clear()
        self._service.figures.clear()
        self._service.faults.clear()
        self._service.ledger.clear()
        self._service.clock.rewind()
        self._on_reset()
        return empty_answer()

    async def sandboxes(self, request: Request) -> Response:
        """`GET /_harness/sandboxes`: those that live and those that ended."""
        del request
        sandboxes = self._service.sandboxes
        return JsonAnswer([_life_view(life) for life in (*sandboxes.alive(), *sandboxes.dead())])

    async def begin_test(self, request: Request) -> Response:
        """`PUT /_harness/test {"test_id": …}`: what is created from now on carries the id."""
        body = await _json_object(request)
        self._service.ownership.test_id = str(body.get("test_id", ""))
        return empty_answer()

    async def after_images(self, request: Request) -> Response:
        """`GET /_harness/after-images`: of which sandboxes files are kept."""
        del request
        return JsonAnswer([_image_view(image) for image in self._service.after_images.list()])

    async def after_image(self, request: Request, sandbox_id: str) -> Response:
        """`GET /_harness/after-images/{id}`: a tar of its home, or of `path` below it."""
        image = self._service.after_images.files(sandbox_id)
        if image is None:
            raise ApiError(404, f"no files are kept of sandbox {sandbox_id!r}")
        path = request.query_params.get("path", HOME)
        base = path if path.startswith("/") else f"{HOME}/{path}"
        return StreamingResponse(
            tar_chunks(image, below=base.rstrip("/") or "/", relative_to=HOME),
            media_type="application/x-tar",
        )

    async def ledger(self, request: Request) -> Response:
        """`GET /_harness/ledger`: one JSON object a line, in order of arrival."""
        del request

        async def lines() -> AsyncIterator[str]:
            for line in self._service.ledger.lines():
                yield line

        return StreamingResponse(lines(), media_type="application/jsonl")

    async def set_internet(self, request: Request) -> Response:
        """`PUT /_harness/internet {"hosts": […], "ca": …}`: for sandboxes created from now on."""
        try:
            self._service.sandboxes.starts.internet = parse_internet(await _json_object(request))
        except UsageError as error:
            raise ApiError(400, str(error)) from error
        return empty_answer()

    async def clock(self, request: Request) -> Response:
        """`GET /_harness/clock`."""
        del request
        clock = self._service.clock
        return JsonAnswer({"now": format_instant(clock.now()), "ahead_s": clock.ahead_s})

    async def advance(self, request: Request) -> Response:
        """`POST /_harness/clock {"advance_s": n}`: answers when what fell due has happened."""
        body = await _json_object(request)
        seconds = body.get("advance_s")
        if (
            isinstance(seconds, bool)
            or not isinstance(seconds, int | float)
            or not 0 <= seconds + self._service.clock.ahead_s <= MAX_AHEAD_S
            or seconds < 0
        ):
            raise ApiError(
                400,
                f"advance_s is {seconds!r}, not a number of seconds from 0; a clock is at most "
                f"{MAX_AHEAD_S} ahead",
            )
        self._service.clock.advance(seconds)
        await self._service.sandboxes.expire_due()
        return await self.clock(request)

    async def faults(self, request: Request) -> Response:
        """`GET /_harness/faults`: each rule, how often it was applied, and what clients did."""
        del request
        entries = self._service.ledger.entries()
        return JsonAnswer(
            [
                rule | {"clients": [one.to_json() for one in attempts_after(entries, rule["id"])]}
                for rule in self._service.faults.report()
            ]
        )

    async def add_fault(self, request: Request) -> Response:
        """`POST /_harness/faults`: adds a rule."""
        try:
            fault = self._service.faults.add(await _json_object(request))
        except FaultError as error:
            raise ApiError(400, str(error)) from error
        return JsonAnswer({"id": fault.fault_id}, status=201)

    async def clear_faults(self, request: Request) -> Response:
        """`DELETE /_harness/faults`."""
        del request
        self._service.faults.clear()
        return empty_answer()


async def _json_object(request: Request) -> Mapping[str, Any]:
    try:
        document = json.loads(await request.body() or b"{}")
    except ValueError as error:
        raise ApiError(400, f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ApiError(400, "the body is not a JSON object")
    return document


def _life_view(life: SandboxLife) -> dict[str, Any]:
    return {
        "sandbox_id": life.sandbox_id,
        "template_id": life.asked.template.template_id,
        "template": life.asked.template.name,
        "state": life.state.value,
        "started_at": format_instant(life.started_at),
        "end_at": format_instant(life.end_at),
        "ended_at": None if life.ended_at is None else format_instant(life.ended_at),
        "end_reason": None if life.end_reason is None else life.end_reason.value,
        "metadata": dict(life.metadata),
        "env_names": sorted(life.asked.envs),
        "creator": life.creator,
    }


def _image_view(image: KeptImage) -> dict[str, Any]:
    return {
        "sandbox_id": image.sandbox_id,
        "template_id": image.template_id,
        "metadata": image.metadata,
        "ended_at": format_instant(image.ended_at),
        "end_reason": image.end_reason.value,
        "size_bytes": image.size_bytes,
        "files": image.files,
    }
