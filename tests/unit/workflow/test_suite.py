"""pytest and plain checks as sessions that end in a verdict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import BrokenError, ExitCode
from harness.model.outcome import Outcome
from harness.model.verdict import Verdict
from harness.settings import Settings
from harness.workflow.suite import PytestRun, run_pytest, run_steps


def run(tmp_path: Path, source: str, *arguments: str) -> tuple[Verdict, Settings]:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_subject.py").write_text(source)
    settings = Settings.load(root=tmp_path, environ={})
    subject = PytestRun(
        session="demo", endpoint="none", arguments=("-q", "-p", "no:cacheprovider", *arguments)
    )
    return run_pytest(subject, settings), settings


def test_run_pytest_all_green_is_passed(tmp_path: Path) -> None:
    """Tests that pass make a passed verdict, on disk too."""
    verdict, settings = run(tmp_path, "def test_a(): pass\ndef test_b(): pass\n")
    assert verdict.exit_code is ExitCode.PASSED
    assert len(verdict.checks) == 2
    folder = settings.reports / "demo"
    assert json.loads((folder / "verdict.json").read_text())["outcome"] == "passed"
    assert b"test_a" in (folder / "junit.xml").read_bytes()


def test_run_pytest_a_failure_is_failed_with_its_reason(tmp_path: Path) -> None:
    """A failing test fails the verdict, and the reason is its assertion."""
    verdict, _ = run(tmp_path, "def test_a(): assert 1 == 2\ndef test_b(): pass\n")
    assert verdict.exit_code is ExitCode.FAILED
    (bad,) = [check for check in verdict.checks if check.outcome is Outcome.FAILED]
    assert "1 == 2" in bad.reason


def test_run_pytest_only_skips_is_not_run(tmp_path: Path) -> None:
    """A run in which nothing ran is never a pass."""
    source = "import pytest\n@pytest.mark.skip(reason='no key')\ndef test_a(): pass\n"
    verdict, _ = run(tmp_path, source)
    assert verdict.exit_code is ExitCode.NOT_RUN
    assert "no key" in verdict.checks[0].reason


def test_run_pytest_no_test_selected_is_not_run(tmp_path: Path) -> None:
    """A selection that selects nothing is not run, and says which selection."""
    verdict, _ = run(tmp_path, "def test_a(): pass\n", "-k", "nothing_like_it")
    assert verdict.exit_code is ExitCode.NOT_RUN
    assert "nothing_like_it" in verdict.checks[0].reason


def test_run_pytest_a_broken_module_is_broken(tmp_path: Path) -> None:
    """A test file that cannot be imported is not a failure of the product."""
    verdict, _ = run(tmp_path, "import no_such_module_anywhere\n")
    assert verdict.exit_code is ExitCode.BROKEN


def test_run_pytest_that_dies_is_broken(tmp_path: Path) -> None:
    """A pytest that ends without a report has no verdict to give."""
    verdict, _ = run(tmp_path, "import os\ndef test_a(): os._exit(9)\n")
    assert verdict.exit_code is ExitCode.BROKEN
    assert "9" in verdict.checks[0].reason


def test_run_steps_goes_on_after_a_failure(tmp_path: Path) -> None:
    """Each step is a check of its own; a later one still runs."""
    settings = Settings.load(root=tmp_path, environ={})
    verdict = run_steps("lint", ["true", "false", "true"], settings)
    assert [check.outcome for check in verdict.checks] == [
        Outcome.PASSED,
        Outcome.FAILED,
        Outcome.PASSED,
    ]
    assert verdict.exit_code is ExitCode.FAILED


def test_run_steps_unknown_program_is_broken(tmp_path: Path) -> None:
    """A program that is not installed is named."""
    settings = Settings.load(root=tmp_path, environ={})
    with pytest.raises(BrokenError) as caught:
        run_steps("lint", ["no-such-program-here --x"], settings)
    assert "no-such-program-here" in caught.value.happened
