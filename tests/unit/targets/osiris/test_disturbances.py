"""A blow strikes when the run has come to its step, once, and says where it could not."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from harness.errors import BrokenError
from harness.model.run import Deed, Disturbance
from harness.model.side import Endpoint
from harness.targets.osiris.disturbances import Watch, strike

AT_SLOW = Disturbance(step="slow", deed=Deed.VANISH)
DEADLINE_S = 60.0


def event(name: str, step: str) -> str:
    return json.dumps({"event": name, "step_id": step}) + "\n"


def test_watch_strikes_at_the_start_of_its_step_and_no_other(tmp_path: Path) -> None:
    """Another step's beginning, its own end, and half a line are not the place."""
    events, struck = tmp_path / "events.jsonl", threading.Event()
    events.write_text(
        event("artifact_created", "first") + event("step_complete", "slow") + '{"event": "st'
    )
    with Watch(AT_SLOW, lambda: events, struck.set) as watch:
        events.write_text(event("artifact_created", "first") + event("artifact_created", "slow"))
        assert struck.wait(DEADLINE_S)
    assert watch.why_broken() is None


def test_watch_of_a_run_that_never_comes_there_says_so(tmp_path: Path) -> None:
    """A case that was not disturbed shows nothing, and is not taken for one that was."""
    events = tmp_path / "events.jsonl"
    events.write_text(event("artifact_created", "first"))
    with Watch(AT_SLOW, lambda: events, lambda: pytest.fail("it struck")) as watch:
        pass
    assert "'slow'" in (watch.why_broken() or "")


def test_watch_with_a_delay_strikes_only_where_the_run_lasts_longer(tmp_path: Path) -> None:
    """A run that ends within the delay was not disturbed; a longer one is, once it has passed."""
    events, struck = tmp_path / "events.jsonl", threading.Event()
    events.write_text(event("artifact_created", "slow"))
    never = Disturbance(step="slow", deed=Deed.VANISH, delay_s=DEADLINE_S)
    with Watch(never, lambda: events, lambda: pytest.fail("it struck")) as watch:
        pass
    assert "'slow'" in (watch.why_broken() or "")
    soon = Disturbance(step="slow", deed=Deed.VANISH, delay_s=0.05)
    with Watch(soon, lambda: events, struck.set) as watch:
        assert struck.wait(DEADLINE_S)
    assert watch.why_broken() is None


def test_watch_tells_of_a_blow_that_failed(tmp_path: Path) -> None:
    """What could not be done is no disturbance."""
    events, struck = tmp_path / "events.jsonl", threading.Event()
    events.write_text(event("artifact_created", "slow"))

    def blow() -> None:
        struck.set()
        strike(AT_SLOW, Endpoint(name="emulator", env={}), None)

    with Watch(AT_SLOW, lambda: events, blow) as watch:
        assert struck.wait(DEADLINE_S)
    assert "no sandbox" in (watch.why_broken() or "")


def test_strike_clock_of_an_endpoint_without_one_is_broken() -> None:
    """Only the emulator's clock moves."""
    ahead = Disturbance(step="slow", deed=Deed.ADVANCE, seconds=61)
    with pytest.raises(BrokenError, match="clock"):
        strike(ahead, Endpoint(name="live", env={}, admin_url="http://127.0.0.1:1"), None)
