"""The session of parity ends in a verdict, whatever happens on the way."""

from __future__ import annotations

import errno
import json
import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from parity_target import DATA, Answers, TableTarget, case, failing_reach, reach

from harness.clock import ManualClock
from harness.errors import BrokenError, ExitCode, LeakError, NotRunError, UsageError
from harness.model.outcome import Outcome
from harness.model.side import Side
from harness.model.verdict import Check, Verdict
from harness.parity import CaseRun
from harness.secret_values import Secret
from harness.settings import Settings
from harness.workflow.parity import ParityOptions, Watcher, run_parity
from harness.workflow.parity_accept import (
    accept_difference,
    accept_known,
    find_difference,
    last_verdict,
)
from harness.workflow.parity_endpoint import FarEnd

LOST = DATA.replace("2,b\n", "")


class Seen(Watcher):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def finished(self, run: CaseRun, check: Check, *, done: int, total: int) -> None:
        self.lines.append(f"{done}/{total} {run.comparison.pipeline} {check.outcome}")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path)


def target_of(settings: Settings, *names: str, answers: Answers | None = None) -> TableTarget:
    return TableTarget(*map(case, names), answers=answers, root=settings.root)


def options_of(target: TableTarget, names: Sequence[str] = (), **changes: Any) -> ParityOptions:
    library = target.cases()
    chosen = tuple(item for item in library if not names or item.name in names)
    return replace(ParityOptions(cases=chosen, library=library), **changes)


def run(settings: Settings, target: TableTarget, **changes: Any) -> Verdict:
    rest = {name: changes.pop(name) for name in ("watcher", "reach") if name in changes}
    rest.setdefault("reach", reach)
    return run_parity(settings, target, options_of(target, **changes), clock=ManualClock(), **rest)


def outcomes(verdict: Verdict) -> dict[str, Outcome]:
    return {check.name: check.outcome for check in verdict.checks}


def test_run_without_difference_passes_and_is_reported(settings: Settings) -> None:
    """Two cases in parity: passed, exit code 0, verdict and junit in the reports."""
    seen = Seen()
    target = target_of(settings, "a", "b")
    verdict = run(settings, target, watcher=seen)
    assert (verdict.outcome, verdict.exit_code) == (Outcome.PASSED, ExitCode.PASSED)
    assert outcomes(verdict) == {"a": Outcome.PASSED, "b": Outcome.PASSED}
    written = settings.reports / "parity"
    assert json.loads((written / "verdict.json").read_text())["outcome"] == "passed"
    assert (written / "junit.xml").is_file()
    assert sorted(line.split(" ", 1)[1] for line in seen.lines) == ["a passed", "b passed"]


def test_each_case_runs_locally_twice_and_remotely_once(settings: Settings) -> None:
    """The runs have folders of their own, and every adapter is closed."""
    target = target_of(settings, "a")
    verdict = run(settings, target)
    assert sorted(adapter.side.value for adapter in target.adapters) == ["e2b", "local", "local"]
    assert all(adapter.closed for adapter in target.adapters)
    folder = settings.testing_env / "runs" / str(verdict.details["run_id"]) / "a"
    assert sorted(path.name for path in folder.iterdir()) == ["e2b", "local-1", "local-2"]


def test_remote_logs_can_be_watched(settings: Settings) -> None:
    """The remote side's logs are mirrored to a folder that keeps its name."""
    run(settings, target_of(settings, "a"))
    mirrored = settings.testing_env / "logs" / "remote" / "a" / "events.jsonl"
    assert mirrored.read_text() == '{"event": "run_start"}\n'


def test_lost_row_fails_with_both_values_and_the_next_command(settings: Settings) -> None:
    """A seeded fault of the sandbox is found, told, and can be reproduced alone."""
    answers = Answers(data={("b", Side.E2B): LOST})
    verdict = run(settings, target_of(settings, "a", "b", answers=answers))
    assert outcomes(verdict) == {"a": Outcome.PASSED, "b": Outcome.FAILED}
    assert verdict.exit_code == ExitCode.FAILED
    differences = verdict.details["differences"]
    assert isinstance(differences, list)
    (item,) = differences
    assert isinstance(item, dict)
    assert (item["path"], item["kind"]) == ("files/output/o.csv/rows", "missing")
    assert item["reproduce"] == "harness parity run --case b --no-allowances"


def test_noise_of_two_local_runs_is_left_out(settings: Settings) -> None:
    """What differs between the local runs by itself is no fault of the sandbox."""
    numbers = iter("12")
    answers = Answers()

    def vary(name: str, side: Side) -> None:
        number = next(numbers) if side is Side.LOCAL else "3"
        answers.data = {(name, side): DATA.replace("2,b", f"2,{number}")}

    answers.on_execute = vary
    verdict = run(settings, target_of(settings, "a", answers=answers))
    assert verdict.outcome is Outcome.PASSED
    assert len(verdict.details["noise"]) == 1  # type: ignore[arg-type]


def test_calibration_runs_the_remote_side_again_and_shows_its_noise(settings: Settings) -> None:
    """Three remote runs that differ by themselves: noise of that side, and no difference."""
    numbers = iter("123")
    answers = Answers()

    def vary(name: str, side: Side) -> None:
        number = "0" if side is Side.LOCAL else next(numbers)
        answers.data = {(name, side): DATA.replace("2,b", f"2,{number}")}

    answers.on_execute = vary
    target = target_of(settings, "a", answers=answers)
    verdict = run(settings, target, calibrate=3)
    assert verdict.outcome is Outcome.PASSED
    noise = verdict.details["noise"]
    assert isinstance(noise, list)
    assert [item["side"] for item in noise if isinstance(item, dict)] == ["e2b", "e2b"]
    sides = [adapter.side for adapter in target.adapters]
    assert (sides.count(Side.LOCAL), sides.count(Side.E2B)) == (2, 3)


def test_case_that_does_not_compile_on_either_side_is_in_parity(settings: Settings) -> None:
    """A refusal is evidence like any other, where the case promises nothing else."""
    target = TableTarget(
        case("bad", outputs=(), expect_success=False),
        answers=Answers(refused=["bad"]),
        root=settings.root,
    )
    assert outcomes(run(settings, target)) == {"bad": Outcome.PASSED}


def test_side_that_cannot_be_run_breaks_its_case_only(settings: Settings) -> None:
    """One broken case is broken; the others have their verdict."""
    trouble = BrokenError("no answer", expected="an answer", next_step="look")
    answers = Answers(errors={("a", Side.E2B): trouble, ("b", Side.LOCAL): OSError(5, "I/O")})
    verdict = run(settings, target_of(settings, "a", "b", "c", answers=answers))
    assert outcomes(verdict) == {
        "a": Outcome.BROKEN,
        "b": Outcome.BROKEN,
        "c": Outcome.PASSED,
    }
    assert verdict.exit_code == ExitCode.BROKEN


@pytest.mark.parametrize(
    ("error", "at_end", "outcome", "code"),
    [
        (BrokenError("x", expected="y", next_step="z"), False, Outcome.BROKEN, ExitCode.BROKEN),
        (BrokenError("x", expected="y", next_step="z"), True, Outcome.BROKEN, ExitCode.BROKEN),
        (NotRunError("x", expected="y", next_step="z"), False, Outcome.NOT_RUN, ExitCode.NOT_RUN),
        (LeakError("x", expected="y", next_step="z"), True, Outcome.BROKEN, ExitCode.LEAK),
    ],
)
def test_far_end_that_fails_is_a_verdict(
    settings: Settings, error: BrokenError, *, at_end: bool, outcome: Outcome, code: ExitCode
) -> None:
    """A dead endpoint and a leak end in a report that says so in three lines."""
    verdict = run(settings, target_of(settings, "a"), reach=failing_reach(error, at_end=at_end))
    assert outcomes(verdict)["endpoint"] is outcome
    assert verdict.exit_code == code
    assert verdict.checks[0].reason == "x\nexpected: y\nnext: z"
    assert last_verdict(settings).exit_code == code


def test_live_without_a_key_is_not_run(settings: Settings) -> None:
    """Asked for and not run is never green; nothing is started."""
    target = target_of(settings, "a")
    verdict = run(settings, target, far_end=FarEnd.LIVE)
    assert verdict.exit_code == ExitCode.NOT_RUN
    assert "E2B_API_KEY not set" in verdict.checks[0].reason
    assert target.adapters == []


def test_live_without_a_key_fails_where_it_is_required(settings: Settings) -> None:
    """`--require` and E2B_REQUIRED turn not run into a failure."""
    target = target_of(settings, "a")
    assert run(settings, target, far_end=FarEnd.LIVE, require=True).exit_code == ExitCode.FAILED
    required = replace(settings, required=True)
    assert run(required, target, far_end=FarEnd.LIVE).exit_code == ExitCode.FAILED


def test_interruption_ends_what_runs_and_says_so(settings: Settings) -> None:
    """A signal aborts the products, closes the adapters, and the verdict is 130."""
    answers = Answers(block=["a", "b"])
    target = target_of(settings, "a", "b", "c", answers=answers)

    def interrupt() -> None:
        assert target.blocked.wait(60)
        os.kill(os.getpid(), signal.SIGINT)

    helper = threading.Thread(target=interrupt)
    helper.start()
    verdict = run(settings, target)
    helper.join()
    assert verdict.interrupted
    assert verdict.exit_code == ExitCode.INTERRUPTED
    assert set(outcomes(verdict).values()) == {Outcome.BROKEN}
    assert target.adapters
    assert all(adapter.closed for adapter in target.adapters)
    written = json.loads((settings.reports / "parity" / "verdict.json").read_text())
    assert (written["interrupted"], written["exit_code"]) == (True, 130)


def test_full_disk_ends_the_run_in_three_lines(settings: Settings) -> None:
    """No verdict of a disk that takes nothing: the error says what to do."""
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "x")
    answers = Answers(errors={("a", Side.LOCAL): full})
    with pytest.raises(BrokenError, match="No space left") as raised:
        run(settings, target_of(settings, "a", "b", answers=answers))
    assert "df -h" in raised.value.next_step
    assert not (settings.reports / "parity").exists()


def test_testing_env_that_is_a_file_is_broken(settings: Settings) -> None:
    """A folder that cannot be made ends in three lines, not in a traceback."""
    settings.testing_env.write_text("")
    with pytest.raises(BrokenError):
        run(settings, target_of(settings, "a"))


def test_broken_allowances_refuse_the_run_before_anything_starts(settings: Settings) -> None:
    """Bad input is refused at once."""
    target = target_of(settings, "a")
    path = target.allowances_file()
    path.parent.mkdir()
    path.write_text("schema = 7\n")
    with pytest.raises(UsageError, match="`schema` is 7"):
        run(settings, target)
    assert target.adapters == []


def test_secrets_do_not_reach_the_report(settings: Settings) -> None:
    """A key that the product printed is masked in verdict and checks."""
    key = "e2b_" + "5f" * 20
    settings = replace(settings, e2b_api_key=Secret("E2B_API_KEY", key))
    answers = Answers(data={("a", Side.E2B): DATA.replace("2,b", f"2,{key}")})
    target = target_of(settings, "a", answers=answers)
    verdict = run(settings, target)
    assert verdict.outcome is Outcome.FAILED
    assert key not in json.dumps(verdict.to_json())
    assert key not in (settings.reports / "parity" / "verdict.json").read_text()
    identity = str(verdict.details["differences"][0]["id"])  # type: ignore[index,call-overload]
    accept_difference(settings, identity, reason="known", clock=ManualClock())
    assert run(settings, target).outcome is Outcome.PASSED


def test_accepted_difference_is_green_and_stale_one_is_red(settings: Settings) -> None:
    """accept → green; the fault gone → the allowance fails the run; `--no-allowances` → red."""
    answers = Answers(data={("a", Side.E2B): LOST})
    target = target_of(settings, "a", answers=answers)
    identity = str(run(settings, target).details["differences"][0]["id"])  # type: ignore[index,call-overload]
    accepted = accept_difference(
        settings, identity[:6], reason="known", link="docs", clock=ManualClock()
    )
    assert accepted.file == target.allowances_file()
    assert run(settings, target).exit_code == ExitCode.PASSED
    found, _ = find_difference(last_verdict(settings), identity)
    assert found["allowance"]["reason"] == "known"  # type: ignore[index,call-overload]
    assert run(settings, target, accept=False).exit_code == ExitCode.FAILED
    answers.data = {}
    stale = run(settings, target)
    assert outcomes(stale) == {"a": Outcome.PASSED, "allowances": Outcome.FAILED}


def test_known_causes_of_own_cases_are_accepted_beside_them(settings: Settings) -> None:
    """All at once, each for its reason, in the cases' own file; the product's stays as it is."""
    target = target_of(settings, "a", answers=Answers(data={("a", Side.E2B): LOST}))
    product, own = target.allowances_file(), settings.root / "own.allowances.toml"
    head = f'schema = 1\nproduct = "osiris-pipeline"\nversion = "{target.version}"\n'
    cause = '[[cause]]\npath = "files/output/*/rows"\nreason = "rows get lost"\nlink = "w.md"\n'
    product.parent.mkdir()
    product.write_text(head + cause)
    red = run(settings, target, own_allowances=own)
    assert red.outcome is Outcome.FAILED
    (accepted,) = accept_known(settings, clock=ManualClock())
    assert accepted.file == own
    assert 'reason = "rows get lost"\nlink = "w.md"' in own.read_text()
    assert product.read_text() == head + cause
    assert run(settings, target, own_allowances=own).outcome is Outcome.PASSED
    assert run(settings, target).outcome is Outcome.FAILED


def test_accept_known_without_any_is_refused(settings: Settings) -> None:
    """A difference without a known cause takes a reason of somebody's."""
    run(settings, target_of(settings, "a", answers=Answers(data={("a", Side.E2B): LOST})))
    with pytest.raises(UsageError, match="no open difference of a known cause"):
        accept_known(settings, clock=ManualClock())


def test_accept_refuses_what_it_cannot_accept(settings: Settings) -> None:
    """No verdict yet, an unknown id, no reason, a day that has passed, accepted already."""
    with pytest.raises(UsageError, match="no parity run"):
        accept_difference(settings, "x", reason="r")
    answers = Answers(data={("a", Side.E2B): LOST})
    target = target_of(settings, "a", answers=answers)
    identity = str(run(settings, target).details["differences"][0]["id"])  # type: ignore[index,call-overload]
    with pytest.raises(UsageError, match="no difference has the id 'zzz'"):
        accept_difference(settings, "zzz", reason="r", clock=ManualClock())
    with pytest.raises(UsageError, match="reason is empty"):
        accept_difference(settings, identity, reason=" ", clock=ManualClock())
    with pytest.raises(UsageError, match="has passed"):
        accept_difference(
            settings, identity, reason="r", expires=ManualClock().now().date().replace(year=2020)
        )
    accept_difference(settings, identity, reason="r", clock=ManualClock())
    run(settings, target)
    with pytest.raises(UsageError, match="accepted already"):
        accept_difference(settings, identity, reason="r", clock=ManualClock())
