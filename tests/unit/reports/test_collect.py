"""What a session left is read for what it is; what it did not leave is named."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.errors import ExitCode
from harness.model.outcome import Outcome
from harness.model.verdict import Check, Verdict
from harness.redaction import Redactor
from harness.reports.collect import CATEGORIES, SessionReport, read_sessions
from harness.reports.session import write_session
from harness.secret_values import Secret


def write(reports: Path, session: str, *outcomes: Outcome, junit: bytes | None = None) -> Path:
    checks = tuple(
        Check(name=f"c{n}", outcome=outcome, reason=f"reason {n}")
        for n, outcome in enumerate(outcomes)
    )
    verdict = Verdict(
        session=session,
        endpoint="emulator",
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        duration_s=1.0,
        checks=checks,
    )
    return write_session(reports, verdict, junit=junit, redactor=Redactor())


def read(reports: Path, redactor: Redactor | None = None) -> dict[str, SessionReport]:
    found = read_sessions(reports, redactor or Redactor())
    return {session.verdict.session: session for session in found}


def test_read_sessions_lists_categories_first_and_what_did_not_run(tmp_path: Path) -> None:
    """A category without a folder is NOT_RUN, with the command that runs it."""
    write(tmp_path, "tests", Outcome.PASSED)
    write(tmp_path, "parity", Outcome.PASSED)
    (tmp_path / "junit.xml").write_text("an earlier report")
    sessions = read(tmp_path)
    assert list(sessions) == [*CATEGORIES, "tests"]
    assert sessions["parity"].ran
    assert sessions["parity"].verdict.outcome is Outcome.PASSED
    orphans = sessions["orphans"]
    assert not orphans.ran
    assert orphans.verdict.exit_code is ExitCode.NOT_RUN
    assert orphans.verdict.checks[0].reason == "no report: nox -s orphans"


def test_read_sessions_of_no_folder_are_all_not_run(tmp_path: Path) -> None:
    """Where nothing was written, nothing ran."""
    sessions = read(tmp_path / "nope")
    assert {session.verdict.outcome for session in sessions.values()} == {Outcome.NOT_RUN}


@pytest.mark.parametrize("damage", ["verdict truncated", "verdict gone", "foreign verdict"])
def test_read_sessions_without_a_verdict_is_broken(tmp_path: Path, damage: str) -> None:
    """A session that was killed while it ran is BROKEN, and its file is named."""
    folder = write(tmp_path, "parity", Outcome.PASSED)
    path = folder / "verdict.json"
    if damage == "verdict gone":
        path.unlink()
    else:
        path.write_text(path.read_text()[:40] if damage == "verdict truncated" else "[1]")
    verdict = read(tmp_path)["parity"].verdict
    assert verdict.exit_code is ExitCode.BROKEN
    assert "verdict.json" in verdict.checks[-1].reason


@pytest.mark.parametrize("content", [None, b"<testsuites><testsui", b"<html/>", b""])
def test_read_sessions_with_a_damaged_junit_is_broken(
    tmp_path: Path, content: bytes | None
) -> None:
    """A passed verdict beside a file that says nothing is not a pass."""
    folder = write(tmp_path, "parity", Outcome.PASSED)
    if content is None:
        (folder / "junit.xml").unlink()
    else:
        (folder / "junit.xml").write_bytes(content)
    session = read(tmp_path)["parity"]
    assert session.verdict.exit_code is ExitCode.BROKEN
    assert isinstance(session.junit, Check)
    assert "junit.xml" in session.junit.reason


def test_read_sessions_that_contradict_themselves_are_broken(tmp_path: Path) -> None:
    """A verdict that passes over a failure in its own JUnit is not believed."""
    junit = b'<testsuite><testcase name="t"><failure message="no"/></testcase></testsuite>'
    write(tmp_path, "parity", Outcome.PASSED, junit=junit)
    write(tmp_path, "orphans", Outcome.FAILED, junit=junit)
    sessions = read(tmp_path)
    assert sessions["parity"].verdict.exit_code is ExitCode.BROKEN
    assert sessions["orphans"].verdict.exit_code is ExitCode.FAILED


def test_read_sessions_redacts_what_others_wrote(tmp_path: Path) -> None:
    """A report that another job left is redacted before it is merged."""
    value = "s3cr3t-value-1"  # pragma: allowlist secret
    folder = write(tmp_path, "parity", Outcome.PASSED)
    document = json.loads((folder / "verdict.json").read_text())
    document["checks"][0]["reason"] = value
    (folder / "verdict.json").write_text(json.dumps(document))
    junit = f'<testsuite><testcase name="{value}"/></testsuite>'
    (folder / "junit.xml").write_text(junit)
    session = read(tmp_path, Redactor([Secret("MYSQL_PASSWORD", value)]))["parity"]
    assert value not in repr(session)
    assert session.verdict.checks[0].reason == "<secret:MYSQL_PASSWORD>"
