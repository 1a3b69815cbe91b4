"""The clock of the emulated service."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from harness.clock import ManualClock
from harness.emulator.service_clock import ServiceClock


def test_clock_runs_ahead_of_its_base_by_what_was_advanced() -> None:
    """An advance adds to the base, which goes on by itself."""
    base = ManualClock()
    clock = ServiceClock(base)
    start = clock.now()
    clock.advance(10)
    base.advance(1)
    assert clock.now() - start == timedelta(seconds=11)
    assert clock.monotonic_s() == 11
    clock.rewind()
    assert clock.now() - start == timedelta(seconds=1)


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_clock_does_not_go_back(seconds: float) -> None:
    """What is no advance is refused."""
    with pytest.raises(ValueError, match="does not go back"):
        ServiceClock().advance(seconds)


def test_until_ends_when_the_clock_is_moved() -> None:
    """A waiter looks again at once, however far away its instant is."""

    async def run() -> None:
        clock = ServiceClock(ManualClock())
        waiting = asyncio.create_task(clock.until(clock.now() + timedelta(hours=1)))
        forever = asyncio.create_task(clock.until(None))
        await asyncio.sleep(0)
        clock.advance(1)
        await asyncio.wait_for(asyncio.gather(waiting, forever), 60)

    asyncio.run(run())


def test_until_an_instant_that_has_passed_returns() -> None:
    """Nobody waits for the past."""

    async def run() -> None:
        clock = ServiceClock(ManualClock())
        await asyncio.wait_for(clock.until(clock.now() - timedelta(seconds=1)), 60)

    asyncio.run(run())
