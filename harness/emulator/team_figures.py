"""How many sandboxes of the team ran at a time, and how fast they were started.

Source: e2b-dev/infra packages/api/internal/metrics/team.go (what is counted, each 5 s) and
packages/clickhouse/pkg/team.go (rate: started in a step, over its seconds).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from harness.clock import Clock
from harness.emulator.life import Happening
from harness.emulator.time_steps import floor, step_of, steps

__all__ = ["TeamFigures", "TeamPoint"]

EXPORT_PERIOD = timedelta(seconds=5)
MAX_CHANGES = 100_000
_MORE = frozenset({Happening.CREATED, Happening.RESUMED})
_LESS = frozenset({Happening.PAUSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamPoint:
    """The figures of one step.

    Attributes:
        time: its beginning.
        concurrent: the most that ran at a time.
        start_rate: started in it, a second.
    """

    time: datetime
    concurrent: int
    start_rate: float


class TeamFigures:
    """Counts by the service's clock.

    Args:
        clock: the service's clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._running = 0
        self._times: list[datetime] = []
        self._counts: list[int] = []
        self._starts: list[datetime] = []

    def note(self, happening: Happening, *, was_running: bool = True) -> None:
        """Counts what happened to one sandbox.

        Args:
            happening: what.
            was_running: whether it ran before; a paused one that is killed was not counted.
        """
        now = self._clock.now()
        if happening is Happening.CREATED:
            self._starts.append(now)
        if happening in _MORE:
            self._running += 1
        elif happening in _LESS or (happening is Happening.KILLED and was_running):
            self._running -= 1
        else:
            return
        self._times.append(now)
        self._counts.append(self._running)
        del self._times[:-MAX_CHANGES], self._counts[:-MAX_CHANGES], self._starts[:-MAX_CHANGES]

    def between(self, start: datetime, end: datetime) -> list[TeamPoint]:
        """The points from `start` to `end`; steps in which nothing ran have none."""
        end = min(end, self._clock.now())
        if not self._times or end < self._times[0]:
            return []
        step = step_of(start, end)
        return [
            point
            for at in steps(max(start, self._times[0]), end, step)
            if (point := self._point(at, step)).concurrent or point.start_rate
        ]

    def most_concurrent(self, start: datetime, end: datetime) -> tuple[datetime, int]:
        """When the most ran at a time, and how many; now and 0 where none did."""
        found = [(count, time) for time, count in self._changes(start, end) if count]
        if not found:
            return self._clock.now(), 0
        most = max(count for count, _ in found)
        return next(time for count, time in found if count == most), most

    def fastest_start(self, start: datetime, end: datetime) -> tuple[datetime, float]:
        """The five seconds in which most were started, and how many a second."""
        by_step: dict[datetime, int] = {}
        for time in self._starts:
            if start <= time <= end:
                at = floor(time, EXPORT_PERIOD)
                by_step[at] = by_step.get(at, 0) + 1
        if not by_step:
            return self._clock.now(), 0.0
        best = max(by_step, key=lambda at: by_step[at])
        return best, by_step[best] / EXPORT_PERIOD.total_seconds()

    def clear(self) -> None:
        """Starts to count from nothing."""
        self._running = 0
        self._times.clear()
        self._counts.clear()
        self._starts.clear()

    def _point(self, at: datetime, step: timedelta) -> TeamPoint:
        until = at + step
        started = bisect_left(self._starts, until) - bisect_left(self._starts, at)
        counts = [count for _, count in self._changes(at, until)]
        return TeamPoint(
            time=at,
            concurrent=max(counts, default=0),
            start_rate=started / step.total_seconds(),
        )

    def _changes(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, int]]:
        """The count at `start`, and each that followed before `end`."""
        first = bisect_right(self._times, start)
        if first:
            yield start, self._counts[first - 1]
        for index in range(first, bisect_left(self._times, end)):
            yield self._times[index], self._counts[index]
