"""Routes of the sandboxes' lives: create, list, get, kill, timeout, connect, pause.

Source: e2b-dev/infra packages/api/internal/handlers/sandbox_*.go; e2b 2.63.0 for what
clients send.
"""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response

from harness.emulator.answers import ApiError, JsonAnswer, empty_answer
from harness.emulator.control_plane.bodies import (
    read_body,
    read_life,
    read_new_sandbox,
    read_timeout,
)
from harness.emulator.control_plane.idempotency import IdempotentCreates
from harness.emulator.control_plane.listing import (
    ListQuery,
    filter_metadata,
    parse_list_query,
    parse_metadata,
    take_page,
)
from harness.emulator.control_plane.views import connection_view, detail_view, listed_view
from harness.emulator.creators import Creators
from harness.emulator.exchange import exchange_of
from harness.emulator.life import NewSandbox, SandboxState
from harness.emulator.routes import Route
from harness.emulator.service import EmulatedService

__all__ = ["SandboxRoutes", "short_id"]

V1_TIMEOUT_S = 15
V2_TIMEOUT_S = 300
LONGEST_REFRESH_S = 3600
_ALL_ON_ONE_PAGE = 10**9
_ID = re.compile(r"[a-z0-9]+")


def short_id(request: Request, sandbox_id: str) -> str:
    """The id without the client id that clients before 1.1 append; noted in the ledger.

    Raises:
        ApiError: 400 where it has more than two parts, or anything but small letters and digits.
    """
    parts = sandbox_id.split("-")
    if len(parts) > 2 or not _ID.fullmatch(parts[0]):  # noqa: PLR2004 - the id and the client id
        raise ApiError(400, "Invalid sandbox ID")
    exchange_of(request).entry.sandbox_id = parts[0]
    return parts[0]


class SandboxRoutes:
    """Answers for sandboxes.

    Args:
        service: the emulator.
    """

    def __init__(self, service: EmulatedService) -> None:
        self._service = service
        self._sandboxes = service.sandboxes
        self._creates = IdempotentCreates()
        self._creators = Creators()

    def routes(self) -> list[Route]:
        """The routes that this class answers."""
        one = "/sandboxes/{sandbox_id}"
        return [
            Route(method="POST", pattern="/sandboxes", handler=self.create_v1),
            Route(method="POST", pattern="/v2/sandboxes", handler=self.create_v2),
            Route(method="GET", pattern="/sandboxes", handler=self.list_v1),
            Route(method="GET", pattern="/v2/sandboxes", handler=self.list_v2),
            Route(method="GET", pattern=one, handler=self.get),
            Route(method="DELETE", pattern=one, handler=self.kill),
            Route(method="POST", pattern=f"{one}/timeout", handler=self.set_timeout),
            Route(method="POST", pattern=f"{one}/refreshes", handler=self.refresh),
            Route(method="POST", pattern=f"{one}/connect", handler=self.connect_v1),
            Route(method="POST", pattern=f"/v2{one}/connect", handler=self.connect_v2),
            Route(method="POST", pattern=f"{one}/resume", handler=self.resume),
            Route(method="POST", pattern=f"{one}/pause", handler=self.pause),
        ]

    def reset(self) -> None:
        """Forgets idempotency keys."""
        self._creates.clear()

    async def create_v1(self, request: Request) -> Response:
        """`POST /sandboxes`: 15 seconds of life, secured where asked."""
        return await self._create(request, default_timeout_s=V1_TIMEOUT_S, always_secure=False)

    async def create_v2(self, request: Request) -> Response:
        """`POST /v2/sandboxes`: 300 seconds of life, always secured."""
        return await self._create(request, default_timeout_s=V2_TIMEOUT_S, always_secure=True)

    async def _create(
        self, request: Request, *, default_timeout_s: int, always_secure: bool
    ) -> Response:
        entry = exchange_of(request).entry
        asked = await read_new_sandbox(
            request,
            default_timeout_s=default_timeout_s,
            always_secure=always_secure,
            catalogue=self._service.catalogue,
            limits=self._sandboxes.limits,
        )
        entry.details = {
            "template": asked.template.name,
            "timeout_s": asked.timeout_s,
            "metadata": dict(asked.metadata),
            "env_names": sorted(asked.envs),
        }

        def stamp(accepted: NewSandbox) -> dict[str, str]:
            return self._service.ownership.stamp(accepted, request.headers)

        creator = self._creators.look(request)
        life = await self._creates.once(
            request.headers.get("idempotency-key"), lambda: self._sandboxes.create(asked, stamp)
        )
        life.creator = life.creator or await creator
        entry.sandbox_id = life.sandbox_id
        entry.details["metadata"] = dict(life.metadata)
        view = connection_view(life, self._service.domain_for(request))
        return JsonAnswer(view, status=201)

    async def list_v1(self, request: Request) -> Response:
        """`GET /sandboxes`: running ones, all on one page."""
        query = ListQuery(states=frozenset({SandboxState.RUNNING}), limit=_ALL_ON_ONE_PAGE)
        wanted = parse_metadata(request.query_params.get("metadata"))
        page = take_page(filter_metadata(self._sandboxes.alive(), wanted), query)
        return JsonAnswer([listed_view(life) for life in page.rows])

    async def list_v2(self, request: Request) -> Response:
        """`GET /v2/sandboxes`: filtered, ordered, in pages."""
        query = parse_list_query(request.query_params, self._service.catalogue)
        page = take_page(self._sandboxes.alive(), query)
        headers = {}
        if page.next_token is not None:
            headers["X-Next-Token"] = page.next_token
        if page.total_running is not None:
            headers["X-Total-Running"] = str(page.total_running)
        return JsonAnswer([listed_view(life) for life in page.rows], headers=headers)

    async def get(self, request: Request, sandbox_id: str) -> Response:
        """`GET /sandboxes/{id}`."""
        life = self._sandboxes.get(short_id(request, sandbox_id))
        return JsonAnswer(detail_view(life, self._service.domain_for(request)))

    async def kill(self, request: Request, sandbox_id: str) -> Response:
        """`DELETE /sandboxes/{id}`."""
        await self._sandboxes.kill(short_id(request, sandbox_id))
        return empty_answer()

    async def set_timeout(self, request: Request, sandbox_id: str) -> Response:
        """`POST /sandboxes/{id}/timeout`: so many seconds from now."""
        body = await read_body(request, {"timeout": int})
        timeout_s = body.get("timeout")
        if timeout_s is None:
            raise ApiError(400, 'validation error: property "timeout" is missing')
        self._sandboxes.set_timeout(short_id(request, sandbox_id), timeout_s)
        return empty_answer()

    async def refresh(self, request: Request, sandbox_id: str) -> Response:
        """`POST /sandboxes/{id}/refreshes`: at least 15 seconds more."""
        body = await read_body(request, {"duration": int})
        duration_s = body.get("duration", V1_TIMEOUT_S)
        if not 0 <= duration_s <= LONGEST_REFRESH_S:
            raise ApiError(
                400, f"validation error: duration must be between 0 and {LONGEST_REFRESH_S}"
            )
        self._sandboxes.refresh(short_id(request, sandbox_id), duration_s)
        return empty_answer()

    async def connect_v1(self, request: Request, sandbox_id: str) -> Response:
        """`POST /sandboxes/{id}/connect`: 200 where it ran, 201 where it was resumed."""
        return await self._connect(request, sandbox_id, default_timeout_s=None)

    async def connect_v2(self, request: Request, sandbox_id: str) -> Response:
        """`POST /v2/sandboxes/{id}/connect`: the same; without a timeout 300 seconds."""
        return await self._connect(request, sandbox_id, default_timeout_s=V2_TIMEOUT_S)

    async def _connect(
        self, request: Request, sandbox_id: str, *, default_timeout_s: int | None
    ) -> Response:
        body = await read_body(request, {"timeout": int, "memory": bool})
        if default_timeout_s is None and body.get("timeout") is None:
            raise ApiError(400, 'validation error: property "timeout" is missing')
        timeout_s = read_timeout(
            body, default_s=default_timeout_s or 0, limits=self._sandboxes.limits
        )
        life, resumed = await self._sandboxes.connect(
            short_id(request, sandbox_id), timeout_s, memory=body.get("memory", True)
        )
        view = connection_view(life, self._service.domain_for(request))
        return JsonAnswer(view, status=201 if resumed else 200)

    async def resume(self, request: Request, sandbox_id: str) -> Response:
        """`POST /sandboxes/{id}/resume`: for clients before connect."""
        body = await read_body(request, {"timeout": int, "autoPause": bool, "memory": bool})
        timeout_s = read_life(body, default_s=V1_TIMEOUT_S, limits=self._sandboxes.limits)
        life = await self._sandboxes.resume(
            short_id(request, sandbox_id),
            timeout_s,
            memory=body.get("memory", True),
            auto_pause=body.get("autoPause"),
        )
        view = connection_view(life, self._service.domain_for(request))
        return JsonAnswer(view, status=201)

    async def pause(self, request: Request, sandbox_id: str) -> Response:
        """`POST /sandboxes/{id}/pause`."""
        body = await read_body(request, {"memory": bool, "requireHealthyGuest": bool})
        await self._sandboxes.pause(
            short_id(request, sandbox_id),
            memory=body.get("memory", True),
            healthy=body.get("requireHealthyGuest", False),
        )
        return empty_answer()
