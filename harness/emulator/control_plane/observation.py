"""Routes that look into sandboxes: metrics and logs.

Source: e2b 2.63.0 e2b/api/client/models/sandbox_metric.py and sandbox_logs.py.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from harness.clock import format_instant
from harness.emulator.answers import ApiError, JsonAnswer
from harness.emulator.control_plane.sandbox_routes import short_id
from harness.emulator.isolation import GuestError, SandboxGoneError
from harness.emulator.life import SandboxLife
from harness.emulator.routes import Route
from harness.emulator.sandboxes import no_such_sandbox
from harness.emulator.service import EmulatedService

__all__ = ["Observation"]

MAX_SANDBOX_IDS = 100
_ONE_POINT = "one point, measured at the time of the request"
_NO_LOGS = "always empty: nothing of a sandbox's output is kept"


class Observation:
    """Answers with figures of running sandboxes.

    Args:
        service: the emulator.
    """

    def __init__(self, service: EmulatedService) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """The routes that this class answers."""
        one = "/sandboxes/{sandbox_id}"
        return [
            Route(method="GET", pattern=f"{one}/metrics", handler=self.metrics, differs=_ONE_POINT),
            Route(
                method="GET",
                pattern="/sandboxes/metrics",
                handler=self.metrics_of_many,
                differs=_ONE_POINT,
            ),
            Route(method="GET", pattern=f"{one}/logs", handler=self.logs_v1, differs=_NO_LOGS),
            Route(method="GET", pattern=f"/v2{one}/logs", handler=self.logs_v2, differs=_NO_LOGS),
        ]

    async def metrics(self, request: Request, sandbox_id: str) -> Response:
        """`GET /sandboxes/{id}/metrics`: points between `start` and `end`."""
        life = self._service.sandboxes.get(short_id(request, sandbox_id))
        start = _unix_seconds(request, "start")
        end = _unix_seconds(request, "end")
        if start is not None and end is not None and start > end:
            raise ApiError(400, "start time cannot be after end time")
        now = self._service.clock.now()
        inside = (end is None or end >= int(life.started_at.timestamp())) and (
            start is None or start <= int(now.timestamp())
        )
        if not inside or not life.running:
            return JsonAnswer([])
        instant = now if end is None else min(now, datetime.fromtimestamp(end, now.tzinfo))
        return JsonAnswer([await self._point(life, instant)])

    async def metrics_of_many(self, request: Request) -> Response:
        """`GET /sandboxes/metrics`: the latest point of each."""
        ids = [i for i in request.query_params.get("sandbox_ids", "").split(",") if i]
        if not ids:
            raise ApiError(400, 'validation error: parameter "sandbox_ids" in query is missing')
        if len(ids) > MAX_SANDBOX_IDS:
            raise ApiError(400, f"Too many sandboxes requested, maximum is {MAX_SANDBOX_IDS}")
        lives = [self._service.sandboxes.find(sandbox_id) for sandbox_id in ids]
        now = self._service.clock.now()
        points = {
            life.sandbox_id: await self._point(life, now)
            for life in lives
            if life is not None and life.running
        }
        return JsonAnswer({"sandboxes": points})

    async def logs_v1(self, request: Request, sandbox_id: str) -> Response:
        """`GET /sandboxes/{id}/logs`."""
        self._service.sandboxes.get(short_id(request, sandbox_id))
        return JsonAnswer({"logs": [], "logEntries": []})

    async def logs_v2(self, request: Request, sandbox_id: str) -> Response:
        """`GET /v2/sandboxes/{id}/logs`."""
        self._service.sandboxes.get(short_id(request, sandbox_id))
        return JsonAnswer({"logs": []})

    async def _point(self, life: SandboxLife, instant: datetime) -> dict[str, Any]:
        try:
            figures = await life.guest.call("metrics")
        except SandboxGoneError as error:
            raise no_such_sandbox(life.sandbox_id) from error
        except GuestError as error:
            raise ApiError(500, f"Error reading metrics: {error.message}") from error
        return {
            "timestamp": format_instant(instant),
            "timestampUnix": int(instant.timestamp()),
            "cpuCount": figures["cpu_count"],
            "cpuUsedPct": figures["cpu_used_pct"],
            "memUsed": figures["mem_used"],
            "memTotal": figures["mem_total"],
            "memCache": figures["mem_cache"],
            "diskUsed": figures["disk_used"],
            "diskTotal": figures["disk_total"],
        }


def _unix_seconds(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not text.isdecimal():
        raise ApiError(
            400,
            f'validation error: parameter "{name}" in query has an error: '
            f'value "{text}": an invalid integer',
        )
    return int(text)
