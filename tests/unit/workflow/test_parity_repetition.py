"""False alarms are counted: a run of an unchanged library that does not pass."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from parity_target import DATA, Answers, TableTarget, case, failing_reach, reach

from harness.clock import ManualClock
from harness.errors import BrokenError, ExitCode
from harness.model.outcome import Outcome
from harness.model.side import Side
from harness.model.verdict import Check, Verdict
from harness.settings import Settings
from harness.workflow.parity import ParityOptions
from harness.workflow.parity_repetition import RepetitionWatcher, count_false_alarms

NUMBER_OF_RUNS = 4


class Seen(RepetitionWatcher):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def finished(self, run: Check, *, done: int, total: int) -> None:
        self.lines.append(f"{done}/{total} {run.outcome}")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path)


def repeat(
    settings: Settings, answers: Answers | None = None, **rest: Any
) -> tuple[Verdict, TableTarget]:
    target = TableTarget(case("a"), case("b"), answers=answers, root=settings.root)
    options = ParityOptions(cases=target.cases(), library=target.cases(), jobs=1)
    rest.setdefault("reach", reach)
    verdict = count_false_alarms(
        settings, target, options, times=NUMBER_OF_RUNS, clock=ManualClock(), **rest
    )
    return verdict, target


def test_runs_without_a_difference_raise_no_alarm(settings: Settings) -> None:
    """Every run counts, every comparison counts, and no folder is left."""
    seen = Seen()
    verdict, target = repeat(settings, watcher=seen)
    assert (verdict.outcome, verdict.exit_code) == (Outcome.PASSED, ExitCode.PASSED)
    details = verdict.details
    assert (details["runs"], details["compared"], details["false_alarms"]) == (4, 8, 0)
    assert seen.lines == [f"{number}/4 passed" for number in (1, 2, 3, 4)]
    assert list((settings.testing_env / "runs").iterdir()) == []
    sides = Counter(adapter.side for adapter in target.adapters)
    assert sides == {Side.LOCAL: 2 * (NUMBER_OF_RUNS + 1), Side.E2B: 2 * NUMBER_OF_RUNS}
    written = json.loads((settings.reports / "parity-false-alarms" / "verdict.json").read_text())
    assert written["details"]["false_alarms"] == 0


def test_verdict_of_the_last_parity_run_stays(settings: Settings) -> None:
    """Counting is a session of its own."""
    repeat(settings)
    assert [path.name for path in settings.reports.iterdir()] == ["parity-false-alarms"]


def test_run_that_alarms_is_counted_and_its_folder_kept(settings: Settings) -> None:
    """Control: the sandbox loses a row in the third run only."""
    answers = Answers()
    remote_runs = iter(range(100))

    def lose(name: str, side: Side) -> None:
        if side is Side.E2B:
            lost = next(remote_runs) == 4
            answers.data = {(name, side): DATA.replace("2,b\n", "") if lost else DATA}

    answers.on_execute = lose
    verdict, _ = repeat(settings, answers)
    assert [check.outcome for check in verdict.checks] == [
        *(Outcome.PASSED, Outcome.PASSED, Outcome.FAILED, Outcome.PASSED)
    ]
    assert verdict.checks[2].reason.startswith("a: 1 difference\nnext: look into ")
    assert verdict.details["false_alarms"] == 1
    assert len(list((settings.testing_env / "runs").iterdir())) == 1
    assert verdict.exit_code is ExitCode.FAILED


def test_noise_between_two_runs_is_none_of_the_product(settings: Settings) -> None:
    """Control: what changes here from run to run is noise; what changes there only is an alarm."""

    def changing(side: Side) -> Answers:
        answers, runs = Answers(), iter(range(100))

        def change(name: str, where: Side) -> None:
            if where is side:
                answers.data = {(name, side): DATA.replace("2,b", f"{next(runs)},b")}

        answers.on_execute = change
        return answers

    alarms = [
        repeat(settings, changing(side))[0].details["false_alarms"]
        for side in (Side.LOCAL, Side.E2B)
    ]
    assert alarms == [0, NUMBER_OF_RUNS]


def test_dead_far_end_is_an_alarm_and_not_a_quiet_run(settings: Settings) -> None:
    """Nothing compared is no proof of quiet."""
    gone = BrokenError("gone", expected="an endpoint", next_step="look")
    verdict, _ = repeat(settings, reach=failing_reach(gone))
    assert (verdict.outcome, verdict.details["false_alarms"]) == (Outcome.BROKEN, NUMBER_OF_RUNS)
    assert verdict.details["compared"] == 0


def test_interrupted_count_keeps_the_runs_that_ended(settings: Settings) -> None:
    """Ctrl-C in the third run: two runs are counted, and the exit code says so."""
    remote_runs = iter(range(100))

    def interrupt(name: str, side: Side) -> None:
        del name
        if side is Side.E2B and next(remote_runs) == 4:
            raise KeyboardInterrupt

    verdict, target = repeat(settings, Answers(on_execute=interrupt))
    assert (verdict.details["runs"], verdict.exit_code) == (2, ExitCode.INTERRUPTED)
    assert all(adapter.closed for adapter in target.adapters)
