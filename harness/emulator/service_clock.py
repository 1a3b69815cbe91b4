"""The clock of the emulated service: the machine's, plus what a test has advanced it by.

Whoever waits for an instant of this clock is woken when it is advanced, so a test
reaches an expiry at once and nobody sleeps.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from harness.clock import Clock, SystemClock

__all__ = ["ServiceClock"]


class ServiceClock:
    """A clock that runs, and that can be moved ahead of the machine's.

    Args:
        base: the clock that it runs with.
    """

    def __init__(self, base: Clock | None = None) -> None:
        self._base = base or SystemClock()
        self._ahead_s = 0.0
        self._moved = asyncio.Event()

    @property
    def ahead_s(self) -> float:
        """How far this clock is ahead of its base."""
        return self._ahead_s

    def now(self) -> datetime:
        """The service's time, aware and in UTC."""
        return self._base.now() + timedelta(seconds=self._ahead_s)

    def monotonic_s(self) -> float:
        """Seconds that never go back, advances included."""
        return self._base.monotonic_s() + self._ahead_s

    def advance(self, seconds: float) -> None:
        """Moves the clock ahead and wakes everyone who waits on it.

        Raises:
            ValueError: if `seconds` is negative or not a number.
        """
        if not seconds >= 0:
            raise ValueError(f"a clock does not go back: {seconds}")
        self._ahead_s += seconds
        self.wake()

    def rewind(self) -> None:
        """Returns to the base clock; only for a service that holds nothing."""
        self._ahead_s = 0.0
        self.wake()

    def wake(self) -> None:
        """Has every waiter look again, because what it waits for may have changed."""
        self._moved.set()
        self._moved = asyncio.Event()

    async def until(self, instant: datetime | None) -> None:
        """Returns at the instant, or earlier when the clock was moved; None waits for a move."""
        moved = self._moved
        timeout_s = None
        if instant is not None:
            timeout_s = max(0.0, (instant - self.now()).total_seconds())
        try:
            await asyncio.wait_for(moved.wait(), timeout_s)
        except TimeoutError:
            return
