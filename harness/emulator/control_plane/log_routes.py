"""Routes of a sandbox's logs.

Source: e2b-dev/infra packages/api/internal/handlers/sandbox_logs.go and
packages/api/internal/clusters/resources.go (the window of a query); what the CLI asks:
@e2b/cli 2.19.0 src/commands/sandbox/logs.ts.

Differs: a line about a call names the call, not its request and answer.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from harness.clock import format_instant
from harness.emulator.answers import JsonAnswer
from harness.emulator.control_plane.parameters import read_choice, read_number, refuse_parameter
from harness.emulator.control_plane.sandbox_routes import short_id
from harness.emulator.routes import Route
from harness.emulator.sandbox_logs import RETENTION, Level, LogEntry
from harness.emulator.service import EmulatedService

__all__ = ["LogRoutes"]

DEFAULT_LIMIT = 1000
MAX_LIMIT = 1000
MAX_SEARCH = 256
_LEVELS = tuple(level.word for level in Level)
_MOMENT = timedelta(microseconds=1)


class LogRoutes:
    """Answers with the lines of sandboxes; an unknown one has none.

    Args:
        service: the emulator.
    """

    def __init__(self, service: EmulatedService) -> None:
        self._logs = service.chronicle.logs
        self._clock = service.clock

    def routes(self) -> list[Route]:
        """The routes that this class answers."""
        logs = "/sandboxes/{sandbox_id}/logs"
        return [
            Route(method="GET", pattern=logs, handler=self.logs_v1),
            Route(method="GET", pattern=f"/v2{logs}", handler=self.logs_v2),
        ]

    async def logs_v1(self, request: Request, sandbox_id: str) -> Response:
        """`GET /sandboxes/{id}/logs`: the oldest first, from `start` in milliseconds on."""
        asked = read_number(request, "start")
        limit = read_number(request, "limit")
        now = self._clock.now()
        start = now - RETENTION if asked is None else _milliseconds("start", asked)
        found = self._logs.between(short_id(request, sandbox_id), start, now + _MOMENT)
        found = found[: DEFAULT_LIMIT if limit is None else limit]
        return JsonAnswer(
            {
                "logs": [
                    {"timestamp": format_instant(entry.time), "line": entry.line()}
                    for entry in found
                ],
                "logEntries": [_view(entry) for entry in found],
            }
        )

    async def logs_v2(self, request: Request, sandbox_id: str) -> Response:
        """`GET /v2/sandboxes/{id}/logs`: the newest first, or from a cursor on."""
        forward = read_choice(request, "direction", ("forward", "backward")) == "forward"
        least = read_choice(request, "level", _LEVELS)
        limit = read_number(request, "limit", most=MAX_LIMIT)
        search = request.query_params.get("search", "")
        if len(search) > MAX_SEARCH:
            raise refuse_parameter("search", f"maximum string length is {MAX_SEARCH}")
        start, end = self._window(read_number(request, "cursor"), forward=forward)
        found = [
            entry
            for entry in self._logs.between(short_id(request, sandbox_id), start, end)
            if (least is None or entry.level >= Level[least.upper()]) and search in entry.message
        ]
        if not forward:
            found.reverse()
        found = found[: DEFAULT_LIMIT if limit is None else limit]
        return JsonAnswer({"logs": [_view(entry) for entry in found]})

    def _window(self, cursor: int | None, *, forward: bool) -> tuple[datetime, datetime]:
        """What a query looks at: seven days at most, on one side of the cursor."""
        now = self._clock.now()
        oldest = now - RETENTION
        if cursor is None:
            return oldest, now + _MOMENT
        at = _milliseconds("cursor", cursor)
        start, end = (at, at + RETENTION) if forward else (at - RETENTION, at)
        return max(start, oldest), max(end, oldest)


def _milliseconds(name: str, value: int) -> datetime:
    try:
        return datetime.fromtimestamp(value / 1000, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise refuse_parameter(name, f'value "{value}" is no time') from error


def _view(entry: LogEntry) -> dict[str, Any]:
    return {
        "timestamp": format_instant(entry.time),
        "level": entry.level.word,
        "message": entry.message,
        "fields": entry.flat_fields(),
    }
