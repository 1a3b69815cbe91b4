"""Clocks and instants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from harness.clock import ManualClock, SystemClock, format_instant, parse_instant


def test_manual_clock_moves_only_when_advanced() -> None:
    """A manual clock stands still, goes forward, and refuses to go back."""
    clock = ManualClock()
    before = clock.now()
    assert clock.now() == before
    clock.advance(90)
    assert clock.now() - before == timedelta(seconds=90)
    assert clock.monotonic_s() == pytest.approx(90)
    with pytest.raises(ValueError, match="go back"):
        clock.advance(-1)


def test_system_clock_is_aware() -> None:
    """The wall clock answers in UTC."""
    assert SystemClock().now().tzinfo is UTC


def test_instants_survive_writing_and_reading() -> None:
    """What is written is read back, whatever zone it came from; no zone means UTC."""
    instant = datetime(2026, 7, 1, 12, 0, 0, 250, tzinfo=timezone(timedelta(hours=2)))
    assert format_instant(instant) == "2026-07-01T10:00:00.000250Z"
    assert parse_instant(format_instant(instant)) == instant
    assert parse_instant("2026-07-01T10:00:00") == datetime(2026, 7, 1, 10, tzinfo=UTC)
    with pytest.raises(ValueError, match="yesterday"):
        parse_instant("yesterday")
