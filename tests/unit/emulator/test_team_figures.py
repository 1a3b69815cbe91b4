"""How many sandboxes ran at a time."""

from __future__ import annotations

from datetime import timedelta

from harness.clock import ManualClock
from harness.emulator.life import Happening
from harness.emulator.team_figures import TeamFigures


def test_figures_carry_a_count_until_it_changes() -> None:
    """Steps without a change have the count of before; empty ones have no point."""
    clock = ManualClock()
    figures, start = TeamFigures(clock), clock.now()
    for happening, wait_s in (
        (Happening.CREATED, 0),
        (Happening.CREATED, 20),
        (Happening.PAUSED, 20),
        (Happening.KILLED, 600),
    ):
        figures.note(happening)
        clock.advance(wait_s)
    points = figures.between(start, clock.now())
    assert {point.concurrent for point in points} == {2, 1}
    assert [point.concurrent for point in points] == sorted(
        (point.concurrent for point in points), reverse=True
    )
    assert points[-1].time < start + timedelta(seconds=45)
    assert figures.most_concurrent(start, clock.now()) == (start, 2)
    assert figures.fastest_start(start, clock.now())[1] == 2 / 5
    assert figures.between(start - timedelta(days=1), start - timedelta(hours=1)) == []


def test_a_paused_sandbox_that_is_killed_is_not_counted_twice() -> None:
    """It left with its pause."""
    clock = ManualClock()
    figures, start = TeamFigures(clock), clock.now()
    figures.note(Happening.CREATED)
    figures.note(Happening.CREATED)
    figures.note(Happening.PAUSED)
    clock.advance(10)
    figures.note(Happening.KILLED, was_running=False)
    clock.advance(10)
    assert figures.between(start, clock.now())[-1].concurrent == 1
    figures.clear()
    assert figures.most_concurrent(start, clock.now()) == (clock.now(), 0)
