"""The sweep: exactly what is due, read again before, verified after, or an honest report."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from scripted_directory import ScriptedDirectory, failure

from harness.errors import BrokenError, ExitCode, LeakError, UsageError
from harness.model.sandbox import SandboxRecord
from harness.orphans.policy import ForeignFilter, Rules
from harness.orphans.sweep import Limits, Sweeper
from harness.orphans.sweep_report import Fate

HOUR = 3600.0


@pytest.fixture
def directory() -> ScriptedDirectory:
    directory = ScriptedDirectory()
    directory.plant("i-due-1", age_s=3 * HOUR, timeout_s=24 * HOUR)
    directory.plant("i-due-2", age_s=2 * HOUR + 1, timeout_s=24 * HOUR)
    directory.plant("i-young", age_s=2 * HOUR - 1, timeout_s=24 * HOUR)
    directory.plant("i-foreign", age_s=90 * HOUR, ours=False)
    return directory


def sweeper(directory: ScriptedDirectory, limits: Limits | None = None) -> Sweeper:
    return Sweeper(directory, limits=limits, clock=directory.clock, sleep=directory.clock.advance)


def fates(directory: ScriptedDirectory) -> dict[str, Fate]:
    report = sweeper(directory).sweep(force=True)
    return {one.sandbox_id: one.fate for one in report.endings}


def test_dry_run_names_what_it_would_end_and_ends_nothing(directory: ScriptedDirectory) -> None:
    """A leak is found, and every sandbox is still there."""
    report = sweeper(directory).sweep()
    assert report.orphans == ("i-due-2", "i-due-1")
    assert report.exit_code is ExitCode.LEAK
    assert directory.kills == []
    assert len(directory.records) == 4


def test_force_ends_exactly_what_is_due(directory: ScriptedDirectory) -> None:
    """What is young and what is not ours stays."""
    report = sweeper(directory).sweep(force=True)
    assert set(report.orphans) == {"i-due-1", "i-due-2"}
    assert set(directory.records) == {"i-young", "i-foreign"}
    assert report.exit_code is ExitCode.PASSED


def test_force_twice_finds_nothing_the_second_time(directory: ScriptedDirectory) -> None:
    """A sweep is idempotent."""
    sweeper(directory).sweep(force=True)
    report = sweeper(directory).sweep(force=True)
    assert (report.endings, report.exit_code) == ((), ExitCode.PASSED)


def test_nothing_due_is_clean_in_a_dry_run(directory: ScriptedDirectory) -> None:
    """No orphan, no leak."""
    del directory.records["i-due-1"], directory.records["i-due-2"]
    assert sweeper(directory).sweep().exit_code is ExitCode.PASSED


def _restart(record: SandboxRecord) -> SandboxRecord:
    return replace(record, started_at=record.started_at + timedelta(seconds=1))


def _pause(record: SandboxRecord) -> SandboxRecord:
    return replace(record, state="paused")


def _renew(record: SandboxRecord) -> SandboxRecord:
    return replace(record, end_at=record.end_at + timedelta(seconds=1))


def _relabel(record: SandboxRecord) -> SandboxRecord:
    return replace(record, metadata={**record.metadata, "keep": "me"})


@pytest.mark.parametrize("change", [_restart, _pause, _renew, _relabel])
def test_force_leaves_alone_what_changed_since_it_was_judged(
    directory: ScriptedDirectory, change: Callable[[SandboxRecord], SandboxRecord]
) -> None:
    """Before each kill the sandbox is read again, and must still be the one that was judged."""

    def meanwhile(directory: ScriptedDirectory) -> None:
        directory.records["i-due-1"] = change(directory.records["i-due-1"])

    directory.before_get["i-due-1"] = meanwhile
    assert fates(directory) == {"i-due-1": Fate.CHANGED, "i-due-2": Fate.ENDED}
    assert directory.kills == ["i-due-2"]


def test_force_takes_a_sandbox_that_went_meanwhile_as_done(directory: ScriptedDirectory) -> None:
    """Already gone is fine, before the kill and at the kill."""

    def meanwhile(directory: ScriptedDirectory) -> None:
        del directory.records["i-due-1"]

    directory.before_get["i-due-1"] = meanwhile
    assert fates(directory) == {"i-due-1": Fate.ALREADY_GONE, "i-due-2": Fate.ENDED}
    assert directory.kills == ["i-due-2"]


def test_force_goes_on_after_a_kill_that_fails(directory: ScriptedDirectory) -> None:
    """One failure is named with the service's words, and the others are ended all the same."""
    directory.fail_kill["i-due-2"] = failure("E2B answered 500 on DELETE")
    report = sweeper(directory).sweep(force=True)
    assert report.orphans == ("i-due-1",)
    assert [(one.sandbox_id, one.fate) for one in report.left] == [("i-due-2", Fate.FAILED)]
    assert report.exit_code is ExitCode.LEAK
    with pytest.raises(LeakError, match=r"i-due-2 .*500 on DELETE"):
        report.raise_if_left()


def test_force_does_not_name_as_left_what_is_gone(directory: ScriptedDirectory) -> None:
    """A kill whose answer was an error may have been carried out; the second listing decides."""

    def carried_out(sandbox_id: str) -> bool:
        directory.records.pop(sandbox_id)
        raise failure("no answer in 30 s")

    directory.kill = carried_out  # type: ignore[method-assign] # a service that is cut off late
    report = sweeper(directory).sweep(force=True)
    assert {one.fate for one in report.endings} == {Fate.ALREADY_GONE}
    assert report.exit_code is ExitCode.PASSED
    assert {one.why for one in report.endings} == {"no answer in 30 s"}


def test_force_notices_a_kill_that_was_not_carried_out(directory: ScriptedDirectory) -> None:
    """What the service acknowledged and still lists is left, not ended."""
    directory.immortal.add("i-due-1")
    report = sweeper(directory).sweep(force=True)
    assert [(one.sandbox_id, one.fate) for one in report.left] == [("i-due-1", Fate.STILL_ALIVE)]
    assert report.orphans == ("i-due-2",)


def test_force_waits_for_a_listing_that_lags(directory: ScriptedDirectory) -> None:
    """A sandbox that the listing shows a little longer is ended, once it is gone."""
    directory.immortal.add("i-due-1")
    looks = 0

    def sleep(seconds: float) -> None:
        nonlocal looks
        looks += 1
        directory.clock.advance(seconds)
        if looks == 2:
            del directory.records["i-due-1"]

    report = Sweeper(directory, clock=directory.clock, sleep=sleep).sweep(force=True)
    assert report.exit_code is ExitCode.PASSED


def test_force_without_a_second_listing_does_not_claim_success(
    directory: ScriptedDirectory,
) -> None:
    """Unverified is BROKEN, not passed."""
    directory.fail_list_from = 2
    report = sweeper(directory).sweep(force=True)
    assert "incomplete" in report.unverified
    assert report.exit_code is ExitCode.BROKEN


def test_incomplete_listing_stops_everything(directory: ScriptedDirectory) -> None:
    """From a part of the listing nothing is concluded and nothing is ended."""
    directory.fail_list_from = 1
    with pytest.raises(BrokenError, match="incomplete"):
        sweeper(directory).sweep(force=True)
    assert directory.kills == []


@pytest.mark.parametrize(("max_kill", "refused"), [(1, True), (2, False)])
def test_more_than_max_kill_ends_nothing(
    directory: ScriptedDirectory, max_kill: int, *, refused: bool
) -> None:
    """The limit holds for the whole sweep: either all that is due, or none of it."""
    sweep = sweeper(directory, Limits(max_kill=max_kill))
    if not refused:
        assert len(sweep.sweep(force=True).orphans) == 2
        return
    with pytest.raises(LeakError, match="2 sandboxes are due") as caught:
        sweep.sweep(force=True)
    assert "--max-kill 2" in caught.value.next_step
    assert directory.kills == []


@pytest.mark.parametrize(("others", "refused"), [(4, True), (5, False)])
def test_too_large_a_share_ends_nothing(others: int, *, refused: bool) -> None:
    """Twenty of twenty-four are suspicious, twenty of twenty-five are not."""
    directory = ScriptedDirectory()
    for number in range(20):
        directory.plant(f"i-due-{number}", age_s=3 * HOUR)
    for number in range(others):
        directory.plant(f"i-live-{number}", age_s=1)
    if not refused:
        assert len(sweeper(directory).sweep(force=True).orphans) == 20
        return
    with pytest.raises(LeakError, match="20 of 24 sandboxes are due"):
        sweeper(directory).sweep(force=True)
    assert directory.kills == []


def test_foreign_without_a_filter_is_refused(directory: ScriptedDirectory) -> None:
    """An empty filter would mean everybody's sandboxes."""
    with pytest.raises(UsageError, match="without a filter"):
        Sweeper(directory, rules=Rules(foreign=ForeignFilter()))


def test_concurrency_is_bounded() -> None:
    """No more kills are under way at once than allowed, and more than one is."""
    directory = ScriptedDirectory()
    for number in range(40):
        directory.plant(f"i{number}", age_s=3 * HOUR)
    most, under_way, lock = 0, 0, threading.Lock()
    together = threading.Barrier(4)
    kill = directory.kill

    def counted(sandbox_id: str) -> bool:
        nonlocal most, under_way
        with lock:
            under_way += 1
            most = max(most, under_way)
        together.wait(60)
        with lock:
            under_way -= 1
        return kill(sandbox_id)

    directory.kill = counted  # type: ignore[method-assign] # the same call, counted
    report = sweeper(directory, Limits(max_share=1, concurrency=4)).sweep(force=True)
    assert (len(report.orphans), most) == (40, 4)


def test_report_as_json_accounts_for_every_sandbox(directory: ScriptedDirectory) -> None:
    """Each listed sandbox has a row with its ruling, its reason and its fate."""
    document = sweeper(directory).sweep().to_json()
    rows = document["sandboxes"]
    assert isinstance(rows, list)
    assert len(rows) == 4
    assert document["counts"] == {
        "listed": 4,
        "due": 2,
        "kept": 1,
        "not ours": 1,
        "would be ended": 2,
    }
    assert document["skew_s"] == 0
