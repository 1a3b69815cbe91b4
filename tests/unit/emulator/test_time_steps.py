"""Ranges of figures and their steps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from harness.emulator.time_steps import floor, step_of, steps

NOW = datetime(2026, 1, 1, 12, 0, 7, 500, UTC)


@pytest.mark.parametrize(
    ("hours", "step_s"), [(0.9, 5), (1, 30), (6, 60), (12, 120), (24, 300), (200, 900)]
)
def test_step_grows_with_the_range(hours: float, step_s: int) -> None:
    """A range has less than a thousand points."""
    end = NOW + timedelta(hours=hours)
    assert step_of(NOW, end) == timedelta(seconds=step_s)
    assert len([*steps(NOW, end, step_of(NOW, end))]) < 1000


def test_steps_begin_where_their_first_instant_is() -> None:
    """Steps lie at multiples of their length, the first before the start."""
    five = timedelta(seconds=5)
    assert floor(NOW, five) == NOW.replace(second=5, microsecond=0)
    assert [at.second for at in steps(NOW, NOW + five, five)] == [5, 10]
