"""Log, wire and the whereabouts of files are compared, each at its own place."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from parity_runs import RunFolder, records, run

from harness.model.difference import Allowance
from harness.model.evidence import Evidence, FileEvidence, FileRole
from harness.model.outcome import Outcome
from harness.model.run import Json
from harness.model.side import Side
from harness.parity import CaseComparison, CaseRun, compare_case, judge
from harness.parity.allowances import AllowanceFile

WIRE: dict[str, Json] = {"environment": {"GREETING": "set"}, "files": {"in.csv": 12}}
LOG = records({"name": "runner", "level": "INFO", "message": "done"})


def paths(first: Evidence, remote: Evidence) -> list[tuple[str, str]]:
    compared = compare_case(first, first, remote)
    assert compared.broken is None
    return [(item.path, item.kind) for item in compared.differences]


@pytest.fixture
def local(tmp_path: Path) -> Evidence:
    file = RunFolder(tmp_path).file("out.csv", b"id\n1\n")
    return run(files=[file], status={"ok": True})


def test_file_that_stayed_in_the_sandbox_is_a_difference_of_its_own(local: Evidence) -> None:
    """Equal bytes that the user never got are not the same result."""
    stayed: FileEvidence = replace(local.files[0], delivered=False)
    assert stayed.role is FileRole.OUTPUT
    remote = replace(local, side=Side.E2B, files=(stayed,))
    assert paths(local, remote) == [("files/output/out.csv/delivered", "value")]


def test_log_entries_are_compared_by_logger(local: Evidence) -> None:
    """A word that the log lacks, and one that it has in addition, name their logger."""
    here = replace(local, log=LOG)
    other = records({"name": "worker", "level": "ERROR", "message": "lost"})
    there = replace(local, side=Side.E2B, log=other)
    assert paths(here, there) == [("log/runner", "missing"), ("log/worker", "extra")]


def test_wire_variable_and_file_are_named(local: Evidence) -> None:
    """What was not sent and what was sent in addition stand at their names."""
    here = replace(local, wire=WIRE)
    there = replace(local, side=Side.E2B, wire={"environment": {"KEY": "set"}, "files": {}})
    assert paths(here, there) == [
        ("wire/environment/GREETING", "missing"),
        ("wire/environment/KEY", "extra"),
        ("wire/files/in.csv", "missing"),
    ]


def test_wire_that_nobody_saw_is_neither_a_difference_nor_a_stale_allowance(
    local: Evidence,
) -> None:
    """An endpoint without a ledger cannot tell, and its silence strikes no debt off."""
    here, there = replace(local, wire=WIRE), replace(local, side=Side.E2B, wire=None)
    compared = compare_case(here, here, there)
    assert compared.differences == ()
    known = [allowance("wire/environment/KEY"), allowance("events/gone")]
    found = judge(
        [CaseRun(comparison=compared)], known_as(known), today=DAY, library=[compared.pipeline]
    )
    assert [item.allowance.path for item in found.problems] == ["events/gone"]


def test_case_that_was_not_run_is_no_pass_and_judges_no_allowance() -> None:
    """Its check says why, and the debts of its pipeline stay."""
    comparison = CaseComparison(pipeline="chain", local="-", remote="-", not_run="no database")
    known = [replace(allowance("outcome"), pipelines=("chain",))]
    found = judge([CaseRun(comparison=comparison)], known_as(known), today=DAY, library=["chain"])
    assert [(check.outcome, check.reason) for check in found.checks] == [
        (Outcome.NOT_RUN, "no database")
    ]


DAY = date(2026, 1, 1)


def allowance(path: str) -> Allowance:
    return Allowance(
        path=path,
        kind=None,
        pipelines=(),
        reason="known",
        link="",
        expires=date(2030, 1, 1),
        source=path,
    )


def known_as(allowances: list[Allowance]) -> AllowanceFile:
    return AllowanceFile(
        path=Path("known.toml"), product="p", version="1", allowances=tuple(allowances)
    )
