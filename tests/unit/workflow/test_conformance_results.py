"""Phases become results, and results become figures by area."""

from __future__ import annotations

import json
from pathlib import Path

from harness.model.outcome import Outcome
from harness.workflow.conformance_results import (
    TestResult,
    checks_of_results,
    figures_of,
    read_results,
)
from harness.workflow.conformance_suite import LeftOut, Sorting

SORTING = Sorting(
    areas=(("one", ("one/*",)), ("two", ("two/*",))),
    left_out=(LeftOut(tests="*::test_far*", reason="needs the moon"),),
)


def result(nodeid: str, outcome: str) -> TestResult:
    return TestResult(nodeid=nodeid, outcome=outcome, text="E   boom")


def test_read_results_a_failed_phase_fails_the_test(tmp_path: Path) -> None:
    """A test whose tear-down failed did not pass, and its time is that of all phases."""
    record = tmp_path / "record.jsonl"
    phases = [("setup", "passed"), ("call", "passed"), ("teardown", "failed")]
    lines = [
        {"nodeid": "a::b", "when": when, "outcome": outcome, "duration_s": 1.0, "text": when}
        for when, outcome in phases
    ]
    record.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = read_results(record)["a::b"]
    assert (found.outcome, found.text, found.duration_s) == ("failed", "teardown", 3.0)


def test_read_results_without_a_record_is_empty(tmp_path: Path) -> None:
    """A run that never began has no results."""
    assert read_results(tmp_path / "none") == {}


def test_figures_count_neither_left_out_nor_skipped_tests_as_feasible() -> None:
    """Feasible is what could pass; a left-out test that passes is named apart."""
    results = [
        result("one/t.py::test_a", "passed"),
        result("one/t.py::test_b", "failed"),
        result("one/t.py::test_c", "skipped"),
        result("one/t.py::test_far", "failed"),
        result("two/t.py::test_far_too", "passed"),
    ]
    one, two = figures_of(results, SORTING)
    assert (one.passed, one.feasible, one.total, one.beyond) == (1, 2, 4, 0)
    assert (two.passed, two.feasible, two.total, two.beyond) == (0, 0, 1, 1)


def test_checks_of_left_out_tests_are_not_run_with_their_reason() -> None:
    """A failure of a left-out test fails nothing; any other failure does."""
    left_out, failed = checks_of_results(
        [result("one/t.py::test_far", "failed"), result("one/t.py::test_b", "failed")], SORTING
    )
    assert left_out.outcome is Outcome.NOT_RUN
    assert "needs the moon" in left_out.reason
    assert failed.outcome is Outcome.FAILED
    assert failed.reason == "boom"
