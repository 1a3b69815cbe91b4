"""Routes that look at what sandboxes use.

Source: e2b-dev/infra packages/api/internal/handlers (sandbox_metrics.go,
sandboxes_list_metrics.go) and packages/api/internal/clusters/resources_local.go; e2b 2.63.0
e2b/api/client/models/sandbox_metric.py.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from harness.clock import format_instant
from harness.emulator.answers import ApiError, JsonAnswer
from harness.emulator.control_plane.parameters import read_number, refuse_parameter
from harness.emulator.control_plane.sandbox_routes import short_id
from harness.emulator.figures import Sample
from harness.emulator.isolation import GuestError, SandboxGoneError
from harness.emulator.life import SandboxLife
from harness.emulator.routes import Route
from harness.emulator.service import EmulatedService

__all__ = ["Observation", "read_seconds"]

MAX_SANDBOX_IDS = 100


class Observation:
    """Answers with figures of sandboxes, of those that ended, too.

    Args:
        service: the emulator.
    """

    def __init__(self, service: EmulatedService) -> None:
        self._service = service
        self._figures = service.figures

    def routes(self) -> list[Route]:
        """The routes that this class answers."""
        one = "/sandboxes/{sandbox_id}"
        return [
            Route(method="GET", pattern=f"{one}/metrics", handler=self.metrics),
            Route(method="GET", pattern="/sandboxes/metrics", handler=self.metrics_of_many),
        ]

    async def metrics(self, request: Request, sandbox_id: str) -> Response:
        """`GET /sandboxes/{id}/metrics`: points between `start` and `end`, in seconds."""
        short = short_id(request, sandbox_id)
        start, end = read_seconds(request, "start"), read_seconds(request, "end")
        if start is not None and end is not None and start > end:
            raise ApiError(400, "Invalid time range for metrics")
        now = self._service.clock.now()
        life = self._service.sandboxes.find(short)
        if life is not None and life.running and (end is None or end >= now - _SECOND):
            await self._measure(life)
        if end is not None:
            end += _SECOND - timedelta(microseconds=1)  # the whole of its last second
        return JsonAnswer([_point(sample) for sample in self._figures.between(short, start, end)])

    async def metrics_of_many(self, request: Request) -> Response:
        """`GET /sandboxes/metrics`: the latest point of each."""
        ids = [i for i in request.query_params.get("sandbox_ids", "").split(",") if i]
        if not ids:
            raise ApiError(400, 'validation error: parameter "sandbox_ids" in query is missing')
        if len(ids) > MAX_SANDBOX_IDS:
            raise ApiError(400, f"Too many sandboxes requested, maximum is {MAX_SANDBOX_IDS}")
        points = {}
        for sandbox_id in [one.partition("-")[0] for one in ids]:
            life = self._service.sandboxes.find(sandbox_id)
            if life is not None and life.running:
                await self._measure(life)
            last = self._figures.last(sandbox_id)
            if last is not None:
                points[sandbox_id] = _point(last)
        return JsonAnswer({"sandboxes": points})

    async def _measure(self, life: SandboxLife) -> None:
        """Measures now, so that the first answer after a create has a point already."""
        try:
            await self._figures.measure(life)
        except SandboxGoneError:
            return  # what was measured before is still there
        except GuestError as error:
            raise ApiError(500, "Failed to fetch sandbox metrics") from error


_SECOND = timedelta(seconds=1)


def read_seconds(request: Request, name: str) -> datetime | None:
    """A time in seconds of Unix time; None where the parameter is absent.

    Raises:
        ApiError: 400 where it is no number, or no time.
    """
    seconds = read_number(request, name)
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise refuse_parameter(name, f'value "{seconds}" is no time') from error


def _point(sample: Sample) -> dict[str, Any]:
    usage = sample.usage
    return {
        "timestamp": format_instant(sample.time),
        "timestampUnix": int(sample.time.timestamp()),
        "cpuCount": usage.cpu_count,
        "cpuUsedPct": usage.cpu_used_pct,
        "memUsed": usage.mem_used,
        "memTotal": usage.mem_total,
        "memCache": usage.mem_cache,
        "diskUsed": usage.disk_used,
        "diskTotal": usage.disk_total,
    }
