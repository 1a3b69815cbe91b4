"""What runs measured is noted row by row."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.model.outcome import Outcome
from harness.model.verdict import Check, Verdict
from harness.workflow.conformance import Conformance, RunFigures
from harness.workflow.conformance_results import AreaFigures
from harness.workflow.figures import note_conformance, note_versions
from harness.workflow.versions import Row
from harness.workflow.versions_matrix import Client, chosen

AT = datetime(2026, 1, 2, 3, tzinfo=UTC)
SANDBOX = "i" + "0" * 20


def conformance(passed: int, *, ordinary_user: bool = False) -> Conformance:
    details: dict[str, Any] = {
        "repository": "e2b-dev/E2B",
        "ordinary_user": ordinary_user,
        "workers": 16,
    }
    return Conformance(
        verdict=Verdict(
            session="conformance",
            endpoint="emulator",
            started_at=AT,
            duration_s=1,
            checks=(),
            details=details,
        ),
        figures=(AreaFigures(area="files", passed=passed, feasible=3, total=4),),
        runs=(RunFigures(passed=passed, feasible=3, duration_s=61.7),),
        twins=4,
        vacuous=1,
        suite_version="1.0",
        sdk_version="1.1",
        results=(),
        routes=("GET /health",),
    )


def row(client: Client, *outcomes: Outcome) -> Row:
    checks = tuple(
        Check(name=f"test_{number}", outcome=outcome, reason=f"of {SANDBOX}")
        for number, outcome in enumerate(outcomes)
    )
    return Row(client=client, installed="9", checks=checks, routes=("GET /health",))


def test_a_run_renews_its_own_row_and_leaves_the_others(tmp_path: Path) -> None:
    """The same suite, SDK and user have one row, wherever it was."""
    file = tmp_path / "figures.json"
    note_conformance(file, conformance(1))
    note_conformance(file, conformance(2, ordinary_user=True))
    note_conformance(file, conformance(3))
    rows = json.loads(file.read_text())["conformance"]
    assert [(r["ordinary_user"], r["areas"][0]["passed"]) for r in rows] == [(False, 3), (True, 2)]
    assert rows[0]["date"] == "2026-01-02"
    assert rows[0]["runs"] == [[3, 3, 62]]
    assert rows[0]["routes"] == ["GET /health"]


def test_clients_are_noted_with_what_failed_but_without_ids(tmp_path: Path) -> None:
    """A second run of one client leaves the rows of the others."""
    file = tmp_path / "figures.json"
    one, two = chosen(["python-2.63.0", "js-2.51.0"])
    failed = [Outcome.FAILED] * 6
    note_versions(file, [row(one, Outcome.PASSED), row(two, *failed)], AT)
    note_versions(file, [row(one, Outcome.FAILED, Outcome.NOT_RUN)], AT)
    first, second = json.loads(file.read_text())["versions"]
    assert (first["passed"], first["failed"], first["lacks"]) == (0, 1, 1)
    assert first["failures"] == ["test_0: of <id>"]
    assert first["attached_by"] == "variables"
    assert second["failures"] == ["test_0: of <id>", "test_1: of <id>", "and 4 more"]


@pytest.mark.parametrize("text", ["", "[]", '{"conformance": 3, "versions": []}'])
def test_file_that_holds_something_else_is_left_as_it_is(tmp_path: Path, text: str) -> None:
    """Nothing is overwritten that somebody may want to keep."""
    file = tmp_path / "other.json"
    file.write_text(text)
    with pytest.raises(UsageError, match="holds no figures"):
        note_versions(file, [], AT)
    assert file.read_text() == text
