"""Lifecycle events: kept for seven days, found by sandbox and kind, with ids that repeat."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

from harness.clock import ManualClock
from harness.emulator.catalogue import Catalogue
from harness.emulator.chronicle import Chronicle
from harness.emulator.isolation import Sandbox
from harness.emulator.life import Happening, NewSandbox, SandboxLife
from harness.emulator.sandbox_logs import Level


def _life(clock: ManualClock, sandbox_id: str) -> SandboxLife:
    now = clock.now()
    return SandboxLife(
        sandbox_id=sandbox_id,
        asked=NewSandbox(template=Catalogue().get("base"), timeout_s=60),
        metadata={"who": "me"},
        guest=cast("Sandbox", None),
        started_at=now,
        end_at=now + timedelta(seconds=60),
        access_token=None,
        traffic_token=None,
    )


def _told(clock: ManualClock) -> Chronicle:
    chronicle, one, two = Chronicle(clock), _life(clock, "i1"), _life(clock, "i2")
    chronicle.starting("i1", "t")
    chronicle.tell(Happening.CREATED, one)
    chronicle.tell(Happening.CREATED, two)
    clock.advance(90)
    chronicle.tell(Happening.UPDATED, one, set_timeout="later")
    chronicle.tell(Happening.PAUSED, one)
    chronicle.tell(Happening.RESUMED, one)
    chronicle.tell(Happening.KILLED, one, kill_reason="timeout")
    return chronicle


def test_events_are_found_by_sandbox_and_by_kind_for_seven_days() -> None:
    """What ends an execution says how long that was; a resume begins another."""
    clock = ManualClock()
    events = _told(clock).events
    kinds = [event.happening.value for event in events.find("i1", [])]
    assert kinds == ["created", "updated", "paused", "resumed", "killed"]
    assert len(events.find(None, [Happening.CREATED])) == 2
    found: dict[str, Any] = {event.happening.value: event for event in events.find("i1", [])}
    assert found["paused"].data["execution"]["execution_time"] == 90_000
    assert found["killed"].data["kill_reason"] == "timeout"
    assert found["updated"].data["set_timeout"] == "later"
    assert "execution" not in found["updated"].data
    assert found["created"].execution_id == found["paused"].execution_id
    assert found["resumed"].execution_id == found["killed"].execution_id
    assert found["created"].execution_id != found["killed"].execution_id
    clock.advance(7 * 24 * 3600 - 50)
    assert [event.happening.value for event in events.find("i1", [])] == kinds[1:]


def test_event_ids_repeat_where_sandbox_ids_do() -> None:
    """They are drawn from nothing but the sandbox and the order."""
    first, second = (_told(ManualClock()).events.find(None, []) for _ in range(2))
    assert [event.event_id for event in first] == [event.event_id for event in second]
    assert len({event.event_id for event in first}) == len(first)


def test_chronicle_tells_the_log_the_events_and_the_team() -> None:
    """One happening in three forms; an update is no line of the log; clear forgets all."""
    clock = ManualClock()
    chronicle = _told(clock)
    ever = (clock.now() - timedelta(days=1), clock.now() + timedelta(days=1))
    lines = chronicle.logs.between("i1", *ever)
    assert [(line.level, line.message) for line in lines] == [
        (Level.DEBUG, "Started creating sandbox"),
        (Level.INFO, "Sandbox created"),
        (Level.INFO, "Pausing sandbox"),
        (Level.INFO, "Sandbox created"),
        (Level.INFO, "Killing sandbox"),
    ]
    assert lines[-1].fields["kill_reason"] == "timeout"
    assert chronicle.team.most_concurrent(*ever)[1] == 2
    chronicle.clear()
    assert chronicle.logs.between("i1", *ever) == []
    assert chronicle.events.find(None, []) == []
