"""A pytest plugin for somebody else's suite: records each report, and leaves tests out.

It is copied beside that suite and runs in the suite's own environment, so it needs
the standard library and pytest only.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

__all__ = ["RECORD_VARIABLE", "SKIP_VARIABLE"]

RECORD_VARIABLE = "CONFORMANCE_RECORD"
SKIP_VARIABLE = "CONFORMANCE_DESELECT"
MAX_TEXT_CHARACTERS = 6_000


def pytest_configure(config: pytest.Config) -> None:
    """Records in the process that sees every report: with xdist that is the controller."""
    target = os.environ.get(RECORD_VARIABLE)
    if target and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Recorder(Path(target)), "conformance-recorder")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselects the tests that the file names, one node id a line."""
    source = os.environ.get(SKIP_VARIABLE)
    if not source:
        return
    names = set(Path(source).read_text(encoding="utf-8").splitlines())
    left_out = [item for item in items if item.nodeid in names]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item.nodeid not in names]


class _Recorder:
    def __init__(self, target: Path) -> None:
        self._target = target

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Writes one phase of one test."""
        self._write(report.nodeid, report.when or "", report.outcome, report.duration, report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Writes a module that could not be collected."""
        if report.outcome == "failed":
            self._write(report.nodeid, "collect", "failed", 0.0, report)

    def _write(
        self,
        nodeid: str,
        when: str,
        outcome: str,
        duration_s: float,
        report: pytest.TestReport | pytest.CollectReport,
    ) -> None:
        text = ""
        if outcome == "skipped" and isinstance(report.longrepr, tuple):
            text = str(report.longrepr[2])
        elif outcome != "passed":
            text = str(report.longreprtext)[-MAX_TEXT_CHARACTERS:]
        line = {
            "nodeid": nodeid,
            "when": when,
            "outcome": outcome,
            "duration_s": duration_s,
            "xfail": hasattr(report, "wasxfail"),
            "text": text,
        }
        with self._target.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
