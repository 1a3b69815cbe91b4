"""An interrupted sweep begins nothing new, and tells what it had done."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from scripted_directory import ScriptedDirectory

from harness.errors import ExitCode
from harness.orphans import sweep as sweep_module
from harness.orphans.kills import Kills
from harness.orphans.sweep import Limits, Sweeper
from harness.orphans.sweep_report import Fate

HOUR = 3600.0
SEEN_WITHIN_S = 20.0  # a bound against hanging; it is seen at once
ONE_AT_A_TIME = Limits(concurrency=1)


@pytest.fixture
def directory() -> ScriptedDirectory:
    directory = ScriptedDirectory()
    for number in range(1, 5):  # the newest is the first of a listing
        directory.plant(f"i-due-{number}", age_s=(2 + number) * HOUR, timeout_s=24 * HOUR)
    return directory


@pytest.fixture(autouse=True)
def _python_handler() -> Iterator[None]:
    """Ctrl-C as a program has it, whatever this test process was started by."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def sweeper(directory: ScriptedDirectory, limits: Limits = ONE_AT_A_TIME) -> Sweeper:
    return Sweeper(directory, limits=limits, clock=directory.clock, sleep=directory.clock.advance)


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Ctrl-C from within the sweep's thread, which goes on when the sweep has seen it."""
    kills = Kills()
    monkeypatch.setattr(sweep_module, "Kills", lambda: kills)

    def send() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        last = time.monotonic() + SEEN_WITHIN_S
        while not kills.stopped:
            assert time.monotonic() < last, "the sweep did not see the interruption"
            time.sleep(0.005)

    return send


def test_interrupted_sweep_tells_what_was_ended_and_what_was_not(
    directory: ScriptedDirectory, interrupt: Callable[[], None]
) -> None:
    """One ended, the one under way to its end, the others not tried; nothing is lost."""
    directory.before_kill["i-due-2"] = interrupt
    report = sweeper(directory).sweep(force=True)
    assert {one.sandbox_id: one.fate for one in report.endings} == {
        "i-due-1": Fate.ENDED,
        "i-due-2": Fate.ENDED,
        "i-due-3": Fate.NOT_TRIED,
        "i-due-4": Fate.NOT_TRIED,
    }
    assert directory.kills == ["i-due-1", "i-due-2"]
    assert (report.interrupted, report.exit_code) == (True, ExitCode.INTERRUPTED)
    assert report.unverified
    assert report.to_json()["left"] == ["i-due-3", "i-due-4"]
    with pytest.raises(KeyboardInterrupt, match="ended: i-due-1, i-due-2; left: i-due-3, i-due-4"):
        report.raise_if_left()


def test_interruption_that_another_thread_took_is_seen(
    directory: ScriptedDirectory, interrupt: Callable[[], None]
) -> None:
    """The kernel may hand a signal of the process to any thread; waiting goes on unwoken then."""

    def taken_here() -> None:
        time.sleep(0.2)  # the sweep now waits; if it does not yet, the test proves less
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        interrupt()

    directory.before_kill["i-due-1"] = taken_here
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        report = sweeper(directory).sweep(force=True)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert directory.kills == ["i-due-1"]
    assert report.interrupted


def test_sandbox_that_was_only_read_when_interrupted_is_not_ended(
    directory: ScriptedDirectory, interrupt: Callable[[], None]
) -> None:
    """Between the second look and the kill there is still time to stop."""
    directory.before_get["i-due-1"] = lambda _: interrupt()
    report = sweeper(directory).sweep(force=True)
    assert directory.kills == []
    assert {one.fate for one in report.endings} == {Fate.NOT_TRIED}


def test_kill_without_an_answer_is_not_waited_for_without_end(
    directory: ScriptedDirectory,
    interrupt: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is under way and does not end is said to be under way."""
    monkeypatch.setattr(sweep_module, "INTERRUPTED_WAIT_S", 0.1)
    over = threading.Event()

    def hang() -> None:
        interrupt()
        over.wait(30)

    directory.before_kill["i-due-1"] = hang
    try:
        report = sweeper(directory).sweep(force=True)
    finally:
        over.set()
    fates = [one.fate for one in report.endings]
    assert fates == [Fate.UNDER_WAY, Fate.NOT_TRIED, Fate.NOT_TRIED, Fate.NOT_TRIED]
    assert len(report.left) == 4


def test_interruption_of_the_second_look_keeps_the_fates(directory: ScriptedDirectory) -> None:
    """What was ended is told, and that it was not verified."""
    directory.interrupt_list_from = 2
    report = sweeper(directory).sweep(force=True)
    assert {one.fate for one in report.endings} == {Fate.ENDED}
    assert (report.interrupted, bool(report.unverified)) == (True, True)


def test_sweep_that_nobody_interrupts_says_so(directory: ScriptedDirectory) -> None:
    """The control."""
    report = sweeper(directory).sweep(force=True)
    assert (report.interrupted, report.exit_code) == (False, ExitCode.PASSED)
