"""A compared case as JSON is the same compared case."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from parity_runs import OK, events, failure, records, run

from harness.model.side import Side
from harness.parity import CaseRun, compare_case
from harness.parity.run_record import from_record, to_record

REMOTE = replace(run(result=failure("no table"), events=events("load")), side=Side.E2B)
NOISY = [run(result=replace(OK, stdout=f"{number}\n")) for number in (1, 2)]


def compared() -> list[CaseRun]:
    again = [replace(REMOTE, result=replace(REMOTE.result, stderr="other\n"))]
    whole = [
        compare_case(run(), run(), REMOTE, again=again),
        compare_case(NOISY[0], NOISY[1], replace(NOISY[0], side=Side.E2B)),
        compare_case(run(), run(result=failure("x")), REMOTE),
        replace(compare_case(run(), run(), REMOTE), not_run="no weather", unkept=("a.csv",)),
        compare_case(run(events=records({"event": "ünï"})), run(), REMOTE),
    ]
    return [CaseRun(comparison=item, duration_s=1.5, folder="runs/x") for item in whole]


@pytest.mark.parametrize("number", range(5))
def test_compared_case_survives_json(number: int) -> None:
    """Differences, noise of both sides, what broke: every field, over a pipe or a file."""
    case = compared()[number]
    assert from_record(json.loads(json.dumps(to_record(case)))) == case


def test_cases_of_the_test_hold_something_in_every_field() -> None:
    """Control: the fields that are compared above are not all empty."""
    comparisons = [case.comparison for case in compared()]
    for name in ("differences", "noise", "remote_noise", "broken", "not_run", "unkept", "unseen"):
        assert any(getattr(comparison, name) for comparison in comparisons), name


@pytest.mark.parametrize("document", [None, [], {"comparison": []}])
def test_something_else_is_no_compared_case(document: object) -> None:
    """Control: what is no record is not taken for one."""
    with pytest.raises((TypeError, KeyError)):
        from_record(document)  # type: ignore[arg-type]
