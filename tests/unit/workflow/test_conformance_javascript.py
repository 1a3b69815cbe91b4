"""What vitest reported becomes one result a test, and nothing of it is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.settings import Settings
from harness.workflow.conformance_javascript import JAVASCRIPT_SDK, read_report, run_javascript
from harness.workflow.conformance_results import figures_of
from harness.workflow.conformance_suite import Sorting


def row(title: str, status: str, *messages: str) -> dict[str, Any]:
    return {"fullName": title, "status": status, "duration": 1500, "failureMessages": messages}


def test_report_has_each_test_once(tmp_path: Path) -> None:
    """Skips are skips, of two tests with one title each counts, a file may fail as a whole."""
    document = {
        "testResults": [
            {
                "name": str(tmp_path / "tests/sandbox/create.test.ts"),
                "assertionResults": [
                    row("create", "passed"),
                    row("create", "failed", "Error: no\n    at line 1"),
                    row("later", "pending"),
                ],
            },
            {
                "name": str(tmp_path / "tests/sandbox/files/read.test.ts"),
                "assertionResults": [],
                "message": "Cannot find module",
            },
        ]
    }
    found = read_report(document, tmp_path)
    assert [(name, result.outcome, result.text) for name, result in found.items()] == [
        ("tests/sandbox/create.test.ts::create", "passed", ""),
        ("tests/sandbox/create.test.ts::create#2", "failed", "Error: no"),
        ("tests/sandbox/create.test.ts::later", "skipped", ""),
        ("tests/sandbox/files/read.test.ts", "failed", "Cannot find module"),
    ]
    figures = figures_of(tuple(found.values()), Sorting.load(JAVASCRIPT_SDK))
    assert [(one.area, one.passed, one.feasible, one.total) for one in figures] == [
        ("files", 0, 1, 1),
        ("sandbox", 1, 2, 3),
    ]


def test_folder_without_the_suite_is_refused(tmp_path: Path) -> None:
    """It says what was expected there, before anything is installed."""
    (tmp_path / "packages" / "js-sdk").mkdir(parents=True)
    settings = Settings.load(root=tmp_path, environ={})
    with pytest.raises(UsageError, match="no suite in"):
        run_javascript(tmp_path, settings, say=lambda _: None)
