"""Routes of snapshots and forks.

Source: e2b-dev/infra packages/api/internal/handlers (snapshot_template_create.go,
snapshot_template_list.go, sandbox_fork.go); e2b 2.63.0 e2b/sandbox_sync/sandbox_api.py.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from harness.clock import format_instant, parse_instant
from harness.emulator.answers import ApiError, JsonAnswer
from harness.emulator.control_plane.bodies import read_body, read_life
from harness.emulator.control_plane.listing import parse_limit
from harness.emulator.control_plane.sandbox_routes import V1_TIMEOUT_S, short_id
from harness.emulator.control_plane.views import connection_view
from harness.emulator.creators import Creators
from harness.emulator.exchange import exchange_of
from harness.emulator.life import NewSandbox
from harness.emulator.routes import Route
from harness.emulator.service import EmulatedService
from harness.emulator.snapshots import Snapshot, checked_name

__all__ = ["SnapshotRoutes"]

MAX_FORKS = 20
_SEPARATOR = "__"
_NO_MEMORY = "only files are kept: no process of the sandbox goes on in what is made from it"


class SnapshotRoutes:
    """Answers for snapshots and forks.

    Args:
        service: the emulator.
    """

    def __init__(self, service: EmulatedService) -> None:
        self._service = service
        self._creators = Creators()

    def routes(self) -> list[Route]:
        """The routes that this class answers."""
        one = "/sandboxes/{sandbox_id}"
        return [
            Route(method="POST", pattern=f"{one}/snapshots", handler=self.take, differs=_NO_MEMORY),
            Route(method="POST", pattern=f"{one}/fork", handler=self.fork, differs=_NO_MEMORY),
            Route(method="GET", pattern="/snapshots", handler=self.list_all),
        ]

    async def take(self, request: Request, sandbox_id: str) -> Response:
        """`POST /sandboxes/{id}/snapshots`."""
        body = await read_body(request, {"name": str, "memory": bool})
        name = body.get("name")
        snapshot = await self._service.snapshots.take(short_id(request, sandbox_id), name or None)
        exchange_of(request).entry.details = {"snapshot": snapshot.snapshot_id}
        return JsonAnswer(_view(snapshot), status=201)

    async def list_all(self, request: Request) -> Response:
        """`GET /snapshots`: newest first, in pages, by sandbox or name."""
        query = request.query_params
        limit, after = parse_limit(query.get("limit")), _parse_cursor(query.get("nextToken"))
        sandbox_id = short_id(request, query["sandboxID"]) if query.get("sandboxID") else ""
        name = checked_name(query["name"]) if query.get("name") else None
        rows = [
            snapshot
            for snapshot in self._service.snapshots.newest_first()
            if sandbox_id in {"", snapshot.sandbox_id}
            and (name is None or snapshot.is_called(name))
            and (after is None or _place(snapshot) < after)
        ]
        headers = {}
        if len(rows) > limit:
            headers["X-Next-Token"] = _write_cursor(rows[limit - 1])
        return JsonAnswer([_view(snapshot) for snapshot in rows[:limit]], headers=headers)

    async def fork(self, request: Request, sandbox_id: str) -> Response:
        """`POST /sandboxes/{id}/fork`: a list of what came up and what did not."""
        body = await read_body(request, {"timeout": int, "count": int})
        count = body.get("count", 1)
        if not 1 <= count <= MAX_FORKS:
            raise ApiError(400, f"validation error: count must be between 1 and {MAX_FORKS}")
        limits = self._service.sandboxes.limits
        timeout_s = read_life(body, default_s=V1_TIMEOUT_S, limits=limits)
        if limits.concurrency is not None and count >= limits.concurrency:
            raise ApiError(
                400,
                "Count must be lower than the maximum number of concurrent sandboxes "
                f"({limits.concurrency})",
            )

        def stamp(accepted: NewSandbox) -> Mapping[str, str]:
            return self._service.ownership.stamp(accepted, request.headers)

        creator = self._creators.look(request)
        made = await self._service.snapshots.fork(
            short_id(request, sandbox_id), count=count, timeout_s=timeout_s, stamp=stamp
        )
        for one in made:
            if not isinstance(one, ApiError):
                one.creator = await creator
        domain = self._service.domain_for(request)
        forks: list[dict[str, Any]] = [
            {"error": {"code": one.status, "message": one.message}}
            if isinstance(one, ApiError)
            else {"sandbox": connection_view(one, domain)}
            for one in made
        ]
        exchange_of(request).entry.details = {
            "forks": [fork.get("sandbox", {}).get("sandboxID") for fork in forks]
        }
        return JsonAnswer(forks, status=201)


def _view(snapshot: Snapshot) -> dict[str, Any]:
    return {"snapshotID": snapshot.snapshot_id, "names": [*snapshot.names]}


def _place(snapshot: Snapshot) -> tuple[datetime, str]:
    return snapshot.created_at, snapshot.snapshot_id


def _write_cursor(snapshot: Snapshot) -> str:
    text = _SEPARATOR.join([format_instant(snapshot.created_at), snapshot.snapshot_id])
    return base64.urlsafe_b64encode(text.encode()).decode()


def _parse_cursor(token: str | None) -> tuple[datetime, str] | None:
    if not token:
        return None
    try:
        decoded = base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
        created_at, _, snapshot_id = decoded.partition(_SEPARATOR)
        return parse_instant(created_at), snapshot_id
    except (ValueError, binascii.Error) as error:
        raise ApiError(400, "Invalid next token") from error
