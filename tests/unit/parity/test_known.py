"""A difference of a pipeline that nobody has seen is told its cause, where that is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

from harness.model.difference import Allowance, Difference
from harness.model.outcome import Outcome
from harness.parity.allowances import AllowanceFile, Cause
from harness.parity.case import CaseComparison
from harness.parity.known import known_causes
from harness.parity.verdict import CaseRun, judge

TODAY = date(2026, 6, 1)
NO_TABLE = Difference(
    id="1",
    path="outcome",
    kind="value",
    local="succeeded",
    remote="failed: no table df_orders!",
    pipelines=("mine",),
)
EFFECT = replace(NO_TABLE, id="2", path="events/step_complete", kind="missing", explained_by="1")
EVENT = replace(NO_TABLE, id="3", path="events/step_start", kind="extra", local=None, remote="{}")
ABOUT = Allowance(
    path="outcome",
    kind="value",
    pipelines=(),
    reason="the table has another name",
    link="why.md#a1",
    expires=date.max,
    source="1.toml:9",
    remote="failed: no table df_*",
)
CAUSE = Cause(about=ABOUT, of_failures=False)
ELSEWHERE = replace(ABOUT, pipelines=("library",), expires=date(2027, 1, 1), source="1.toml:3")


def file_of(*allowances: Allowance, causes: tuple[Cause, ...] = ()) -> AllowanceFile:
    return AllowanceFile(
        path=Path("f"), product="p", version="1", allowances=allowances, causes=causes
    )


def sources(
    *differences: Difference, file: AllowanceFile, failed: tuple[str, ...] = ()
) -> dict[str, str]:
    found = known_causes(differences, file, failed=failed)
    return {identity: by.source for (identity, _), by in found.items()}


def test_known_causes_fit_any_pipeline_and_what_follows() -> None:
    """The name of a table, of a step, of a pipeline is the pipeline's own choice."""
    found = sources(NO_TABLE, EFFECT, EVENT, file=file_of(causes=(CAUSE,)))
    assert found == {"1": "1.toml:9", "2": "1.toml:9"}


def test_known_causes_another_failure_is_news() -> None:
    """Another text at the same path has no known cause, nor has what follows from it."""
    other = replace(NO_TABLE, remote="failed: out of memory")
    assert sources(other, EFFECT, file=file_of(causes=(CAUSE,))) == {}


def test_known_causes_of_failures_say_nothing_of_a_success() -> None:
    """An event more is known where the run failed; in one that succeeded it is news."""
    after = Cause(
        about=replace(ABOUT, path="events/step_start", kind="extra", remote=None), of_failures=True
    )
    file = file_of(causes=(after,))
    assert sources(EVENT, file=file, failed=("mine",)) == {"3": "1.toml:9"}
    assert sources(EVENT, file=file, failed=("other",)) == {}


def test_known_causes_allowance_for_others_counts_only_with_values() -> None:
    """A path alone tells no cause from another."""
    assert sources(NO_TABLE, file=file_of(ELSEWHERE)) == {"1": "1.toml:3"}
    assert sources(NO_TABLE, file=file_of(replace(ELSEWHERE, remote=None))) == {}


def test_known_causes_beside_another_difference_need_it() -> None:
    """A record that is missing means this where nothing began at all, and is news elsewhere."""
    about = replace(ABOUT, path="events/step_start", kind=None, remote=None)
    file = file_of(causes=(Cause(about=about, of_failures=False, beside="outcome"),))
    assert sources(NO_TABLE, EVENT, file=file) == {"3": "1.toml:9"}
    assert sources(EVENT, replace(NO_TABLE, pipelines=("other",)), file=file) == {}


def test_known_causes_allowance_for_others_with_few_words_is_none() -> None:
    """`true` here and `false` there is not enough to be called the same."""
    copied = replace(NO_TABLE, path="status/x", local="true", remote="false")
    vague = replace(ELSEWHERE, path="status/x", local="true", remote="false")
    assert sources(copied, file=file_of(vague)) == {}


def test_judge_difference_of_a_known_cause_stays_open() -> None:
    """Nobody has accepted it for this pipeline: the case fails, and says why it is no news."""
    run = CaseRun(
        comparison=CaseComparison(
            pipeline="mine", local="succeeded", remote="failed", differences=(EVENT, NO_TABLE)
        )
    )
    findings = judge([run], file_of(causes=(CAUSE,)), today=TODAY, library=["mine"])
    (check,) = findings.checks
    assert check.outcome is Outcome.FAILED
    assert check.reason.splitlines() == [
        "2 differences, 1 of a known cause",
        "3 events/step_start (extra): None → {}",
        "1 outcome (value): succeeded → failed: no table df_orders! [why.md#a1]",
    ]
    document = findings.to_json(command="harness parity run", today=TODAY)
    entries = document["differences"]
    assert isinstance(entries, list)
    known = {item["id"]: item["known"] for item in entries if isinstance(item, dict)}
    assert known["3"] is None
    assert known["1"] == {
        "source": "1.toml:9",
        "reason": "the table has another name",
        "link": "why.md#a1",
    }
