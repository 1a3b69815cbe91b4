"""Time ranges of figures, and the steps that E2B divides them into.

Source: e2b-dev/infra packages/clickhouse/pkg/utils (validate.go, step.go) and the
toStartOfInterval of packages/clickhouse/pkg/sandbox.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

__all__ = ["floor", "step_of", "steps"]

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_STEPS = (
    (_HOUR, 5),
    (6 * _HOUR, 30),
    (12 * _HOUR, 60),
    (_DAY, 120),
    (7 * _DAY, 300),
)
_LONGEST_STEP_S = 900


def step_of(start: datetime, end: datetime) -> timedelta:
    """How far apart the points of a range are."""
    duration = end - start
    seconds = next((step_s for most, step_s in _STEPS if duration < most), _LONGEST_STEP_S)
    return timedelta(seconds=seconds)


def floor(instant: datetime, step: timedelta) -> datetime:
    """The beginning of the step that an instant is in."""
    step_s = int(step.total_seconds())
    return datetime.fromtimestamp(int(instant.timestamp()) // step_s * step_s, UTC)


def steps(start: datetime, end: datetime, step: timedelta) -> Iterator[datetime]:
    """The beginnings of all steps from that of `start` to that of `end`."""
    at = floor(start, step)
    while at <= end:
        yield at
        at += step
