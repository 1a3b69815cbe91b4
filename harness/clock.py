"""The only reader of time.

Everything that needs the time is handed a clock, so that tests move it by hand
and never sleep. Datetimes are aware and UTC; durations are seconds.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

__all__ = ["Clock", "ManualClock", "SystemClock", "format_instant", "parse_instant"]


class Clock(Protocol):
    """What the harness asks of a clock."""

    def now(self) -> datetime:
        """The wall-clock time, aware and in UTC."""
        ...

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back; only differences mean anything."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """The wall-clock time, aware and in UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()


class ManualClock:
    """A clock that stands still until it is advanced.

    Args:
        start: the first answer of `now`; aware.
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed_s = 0.0

    def now(self) -> datetime:
        """The start plus everything that was advanced."""
        return self._start + timedelta(seconds=self._elapsed_s)

    def monotonic_s(self) -> float:
        """Everything that was advanced, in seconds."""
        return self._elapsed_s

    def advance(self, seconds: float) -> None:
        """Moves the clock forward.

        Raises:
            ValueError: if `seconds` is negative.
        """
        if seconds < 0:
            raise ValueError(f"a clock does not go back: {seconds}")
        self._elapsed_s += seconds


def format_instant(instant: datetime) -> str:
    """RFC 3339 in UTC with microseconds and a `Z`, as E2B's API writes it."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_instant(text: str) -> datetime:
    """Reads RFC 3339; an instant without a zone is taken as UTC.

    Raises:
        ValueError: if the text is not a date and time.
    """
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
