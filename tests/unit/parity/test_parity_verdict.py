from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from datetime import date
from pathlib import Path

from harness.model.difference import Allowance, Difference
from harness.model.outcome import Outcome
from harness.parity.allowances import AllowanceFile
from harness.parity.case import CaseComparison
from harness.parity.delta import Delta, Kind
from harness.parity.verdict import CaseRun, ParityFindings, judge

TODAY = date(2026, 6, 1)
DIFFERENCE = Difference(
    id="1", path="exit_code", kind="value", local="0", remote="1", pipelines=("a",)
)
GOOD = CaseRun(
    comparison=CaseComparison(pipeline="good", local="succeeded", remote="succeeded"),
    duration_s=2.0,
    folder="testing_env/runs/r/good",
)
BAD = CaseRun(
    comparison=CaseComparison(
        pipeline="a",
        local="succeeded",
        remote="failed",
        differences=(DIFFERENCE, replace(DIFFERENCE, id="2", explained_by="1")),
    )
)
ALLOWANCE = Allowance(
    path="exit_code",
    kind="value",
    pipelines=("a",),
    reason="r",
    link="l",
    expires=TODAY,
    source="f:1",
)


def found(*runs: CaseRun, allowances: tuple[Allowance, ...] | None = ()) -> ParityFindings:
    file = (
        None
        if allowances is None
        else AllowanceFile(path=Path("f"), product="p", version="1", allowances=allowances)
    )
    return judge(runs, file, today=TODAY, library=("a", "good"))


def outcomes(findings: ParityFindings) -> dict[str, Outcome]:
    return {check.name: check.outcome for check in findings.checks}


def test_case_without_difference_passes() -> None:
    """Parity is the absence of open differences."""
    assert outcomes(found(GOOD)) == {"good": Outcome.PASSED}


def test_open_difference_fails_its_case_with_its_cause() -> None:
    """The reason names the cause with both values, and counts what follows."""
    (check,) = found(BAD).checks
    assert check.outcome is Outcome.FAILED
    assert check.reason.splitlines() == [
        "1 difference",
        "1 exit_code (value): 0 → 1",
        "1 more follow from these",
    ]


def test_accepted_difference_passes_and_is_still_listed() -> None:
    """An accepted divergence is never out of sight."""
    findings = found(BAD, allowances=(ALLOWANCE,))
    assert outcomes(findings) == {"a": Outcome.PASSED}
    assert [item.id for item, _ in findings.accepted] == ["1", "2"]


def test_wrong_allowance_fails_the_run() -> None:
    """A stale allowance is a check of its own."""
    findings = found(GOOD, allowances=(replace(ALLOWANCE, pipelines=("good",)),))
    assert outcomes(findings) == {"good": Outcome.PASSED, "allowances": Outcome.FAILED}
    assert "matches nothing any more" in findings.checks[-1].reason


def test_without_allowances_everything_is_open() -> None:
    """`--no-allowances` lists all and judges no allowance."""
    findings = found(BAD, allowances=None)
    assert [item.id for item in findings.open] == ["1", "2"]
    assert findings.problems == ()


def test_broken_case_is_broken() -> None:
    """A side that says nothing is neither a pass nor a failure."""
    broken = replace(GOOD, comparison=replace(GOOD.comparison, broken="no answer"))
    (check,) = found(broken).checks
    assert check.outcome is Outcome.BROKEN
    assert check.reason.splitlines() == [
        "no answer",
        "next: look into testing_env/runs/r/good, then run it again",
    ]


def test_success_without_promised_output_is_broken_unless_accepted() -> None:
    """A claim of success without the data is worse than a difference."""
    absent = replace(DIFFERENCE, path="files/output/o.csv", kind="missing")
    run = replace(BAD, comparison=replace(BAD.comparison, differences=(absent,), unkept=("o.csv",)))
    assert outcomes(found(run)) == {"a": Outcome.BROKEN}
    accepted = replace(ALLOWANCE, path="files/output/o.csv", kind="missing")
    assert outcomes(found(run, allowances=(accepted,))) == {"a": Outcome.PASSED}


def test_details_hold_everything_a_reader_needs() -> None:
    """Both values, a paste-ready allowance, and the command that shows it alone."""
    noisy = Delta(path="events/e", site="events/e", kind=Kind.VALUE, local="1", remote="2")
    good = replace(GOOD, comparison=replace(GOOD.comparison, noise=(noisy,)))
    details = found(good, BAD).to_json(command="harness parity run", today=TODAY)
    assert json.loads(json.dumps(details)) == details
    cases, differences, noise = details["cases"], details["differences"], details["noise"]
    assert isinstance(cases, list)
    assert isinstance(differences, list)
    assert isinstance(noise, list)
    assert [case["name"] for case in cases if isinstance(case, dict)] == ["good", "a"]
    first = differences[0]
    assert isinstance(first, dict)
    assert (first["local"], first["remote"]) == ("0", "1")
    assert first["reproduce"] == "harness parity run --case a --no-allowances"
    pasted = tomllib.loads(str(first["allowance"]))["allowance"][0]
    assert (pasted["path"], pasted["pipelines"]) == ("exit_code", ["a"])
    assert Difference.from_json(first) == DIFFERENCE
    assert len(noise) == 1
