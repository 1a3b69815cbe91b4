"""Routes of the lifecycle events of sandboxes.

Source: e2b.dev/docs/sandbox/lifecycle-events-api (no SDK asks for them).
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from harness.clock import format_instant
from harness.emulator.answers import JsonAnswer
from harness.emulator.control_plane.parameters import read_choice, read_number, refuse_parameter
from harness.emulator.control_plane.sandbox_routes import short_id
from harness.emulator.life import Happening
from harness.emulator.lifecycle_events import LifecycleEvent
from harness.emulator.routes import Route
from harness.emulator.service import EmulatedService
from harness.emulator.team import TEAM_ID

__all__ = ["EventRoutes"]

DEFAULT_LIMIT = 10
MAX_LIMIT = 100
_PREFIX = "sandbox.lifecycle."
_KINDS = {f"{_PREFIX}{happening.value}": happening for happening in Happening}


class EventRoutes:
    """Answers with events.

    Args:
        service: the emulator.
    """

    def __init__(self, service: EmulatedService) -> None:
        self._events = service.chronicle.events

    def routes(self) -> list[Route]:
        """The routes that this class answers."""
        of_all = "/events/sandboxes"
        return [
            Route(method="GET", pattern=of_all, handler=self.of_all),
            Route(method="GET", pattern=f"{of_all}/{{sandbox_id}}", handler=self.of_one),
        ]

    async def of_all(self, request: Request) -> Response:
        """`GET /events/sandboxes`: the newest first, ten unless `limit` says otherwise."""
        return self._page(request, None)

    async def of_one(self, request: Request, sandbox_id: str) -> Response:
        """`GET /events/sandboxes/{id}`: the same of one sandbox."""
        return self._page(request, short_id(request, sandbox_id))

    def _page(self, request: Request, sandbox_id: str | None) -> Response:
        offset = read_number(request, "offset") or 0
        limit = read_number(request, "limit", least=1, most=MAX_LIMIT) or DEFAULT_LIMIT
        ascending = read_choice(request, "orderAsc", ("true", "false")) == "true"
        kinds = [
            kind
            for value in request.query_params.getlist("types")
            for kind in value.split(",")
            if kind
        ]
        unknown = [kind for kind in kinds if kind not in _KINDS]
        if unknown:
            raise refuse_parameter(
                "types", f'value "{unknown[0]}" is not one of the allowed values'
            )
        found = self._events.find(sandbox_id, [_KINDS[kind] for kind in kinds])
        if not ascending:
            found.reverse()
        return JsonAnswer([_view(event) for event in found[offset : offset + limit]])


def _view(event: LifecycleEvent) -> dict[str, Any]:
    return {
        "version": "v2",
        "id": event.event_id,
        "type": f"{_PREFIX}{event.happening.value}",
        "timestamp": format_instant(event.time),
        "eventData": dict(event.data),
        "sandboxId": event.sandbox_id,
        "sandboxExecutionId": event.execution_id,
        "sandboxTemplateId": event.template_id,
        "sandboxBuildId": event.build_id,
        "sandboxTeamId": TEAM_ID,
    }
