"""What a client did about bad weather."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from harness.emulator.attempts import attempts_after
from harness.emulator.ledger import Entry

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def request(at_s: float, status: int | None, **values: Any) -> Entry:
    values = {"method": "GET", "path": "/a", "query": "", "duration_ms": 100.0, **values}
    return Entry(number=1, time=NOW + timedelta(seconds=at_s), status=status, **values)


def test_attempts_end_with_the_first_that_is_well() -> None:
    """Waits run from the end of one to the beginning of the next; what follows is new."""
    entries = [
        request(0, 503, fault="f"),
        request(0.2, 200, path="/b"),
        request(1, None, fault="f"),
        request(3, 200),
        request(4, 200),
    ]
    [found] = attempts_after(entries, "f")
    assert found.statuses == (503, None, 200)
    assert [round(wait_s, 3) for wait_s in found.waits_s] == [0.9, 1.9]
    assert attempts_after(entries, "another") == []


def test_attempts_of_two_clients_are_told_apart_by_their_keys() -> None:
    """The same request at the same time, by two who say who they are."""
    entries = [
        request(0, 503, fault="f", idempotency_key="one"),
        request(0, 503, fault="f", idempotency_key="two"),
        request(1, 201, idempotency_key="two"),
        request(2, 201, idempotency_key="one"),
        request(900, 201, idempotency_key="one"),
    ]
    assert [len(found.statuses) for found in attempts_after(entries, "f")] == [2, 2]


def test_attempts_do_not_reach_across_a_long_silence() -> None:
    """A request much later is another matter."""
    entries = [request(0, 503, fault="f"), request(3600, 200)]
    assert [found.statuses for found in attempts_after(entries, "f")] == [(503,)]
