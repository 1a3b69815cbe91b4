"""One report of all sessions; no leak gets into it, and nothing that did not run is a pass."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from junitparser import JUnitXml

from harness.errors import BrokenError, ExitCode, LeakError, NotRunError
from harness.model.outcome import Outcome
from harness.model.verdict import Check, Verdict
from harness.reports.session import write_session
from harness.reports.summary import MAX_SUMMARY_BYTES
from harness.settings import Settings
from harness.workflow.report import build_report

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.load(root=tmp_path, environ={"PATH": os.environ["PATH"]})


def write(
    settings: Settings,
    session: str,
    *outcomes: Outcome,
    after_s: float = 0.0,
    leak: bool = False,
    interrupted: bool = False,
) -> None:
    checks = tuple(
        Check(name=f"{session} {n}", outcome=outcome, reason=f"reason {n}" * (n + 1))
        for n, outcome in enumerate(outcomes)
    )
    verdict = Verdict(
        session=session,
        endpoint="emulator",
        started_at=START + timedelta(seconds=after_s),
        duration_s=1.0,
        checks=checks,
        leak=leak,
        interrupted=interrupted,
    )
    write_session(settings.reports, verdict)


def test_build_report_after_smoke_alone_is_green_and_lists_what_did_not_run(
    settings: Settings,
) -> None:
    """The whole is the worst of what ran; the others are named, not counted as passed."""
    write(settings, "smoke-mocked", Outcome.PASSED)
    write(settings, "smoke-live", Outcome.NOT_RUN)
    report = build_report(settings)
    assert report.exit_code is ExitCode.PASSED
    summary = report.summary.read_text()
    assert "1 of 5 sessions ran: 1 passed, 4 not run" in summary
    assert "no report: nox -s parity" in summary
    assert "no secret scan was made" in summary
    merged = JUnitXml.fromfile(str(report.junit))
    assert {suite.name: suite.skipped for suite in merged} == {
        "smoke-mocked": 0,
        "smoke-live": 1,
        "parity": 1,
        "orphans": 1,
        "secret-scan": 1,
    }


@pytest.mark.parametrize(
    ("sessions", "expected"),
    [
        ({"parity": {"outcomes": [Outcome.PASSED, Outcome.NOT_RUN]}}, ExitCode.PASSED),
        ({"parity": {"outcomes": [Outcome.NOT_RUN]}}, ExitCode.NOT_RUN),
        ({"parity": {"outcomes": [Outcome.FAILED]}}, ExitCode.FAILED),
        ({"parity": {"outcomes": [Outcome.FAILED]}, "tests": {"outcomes": []}}, ExitCode.BROKEN),
        ({"parity": {"outcomes": [Outcome.BROKEN], "interrupted": True}}, ExitCode.INTERRUPTED),
        ({"orphans": {"outcomes": [Outcome.FAILED], "leak": True}}, ExitCode.LEAK),
    ],
)
def test_build_report_exit_code_is_the_worst_that_ran(
    settings: Settings, sessions: dict[str, dict[str, object]], expected: ExitCode
) -> None:
    """Leak before interruption before broken before failed before passed before not run."""
    write(settings, "smoke-mocked", Outcome.NOT_RUN)
    for name, words in sessions.items():
        outcomes = words.pop("outcomes")
        assert isinstance(outcomes, list)
        write(settings, name, *outcomes, **words)  # type: ignore[arg-type]  # parametrized
    assert build_report(settings).exit_code is expected


def test_build_report_without_any_session_is_not_run(settings: Settings) -> None:
    """An empty report would look like a pass: it says what to run instead."""
    with pytest.raises(NotRunError, match="no session has left a report") as caught:
        build_report(settings)
    assert "nox -s" in caught.value.next_step
    assert not (settings.reports / "summary.md").exists()


@pytest.mark.parametrize("session", ["secret-scan", "secret-scan-paths"])
def test_build_report_of_a_known_leak_is_refused_and_withdrawn(
    settings: Settings, session: str
) -> None:
    """Nothing is merged while a secret is known to have leaked, and an old report goes."""
    write(settings, "smoke-mocked", Outcome.PASSED)
    write(settings, "secret-scan", Outcome.PASSED)
    report = build_report(settings)
    write(settings, session, Outcome.FAILED, leak=True)
    step = settings.root / "step.md"
    with pytest.raises(LeakError, match="the report is refused") as caught:
        build_report(replace(settings, step_summary=step))
    assert caught.value.exit_code is ExitCode.LEAK
    assert not report.summary.exists()
    assert not report.junit.exists()
    assert "LEAK" in step.read_text()


def test_build_report_says_what_the_scan_did_not_see(settings: Settings) -> None:
    """A session that ran after the scan is not covered by it; a broken scan is no scan."""
    write(settings, "parity", Outcome.PASSED, after_s=10)
    write(settings, "secret-scan", Outcome.PASSED, after_s=20)
    assert build_report(settings).notes == ()
    write(settings, "orphans", Outcome.PASSED, after_s=30)
    assert build_report(settings).notes == (
        "not in the secret scan, because they ran after it: orphans",
    )
    write(settings, "secret-scan", Outcome.BROKEN, after_s=40)
    report = build_report(settings)
    assert report.exit_code is ExitCode.BROKEN
    assert "has not passed (broken)" in report.notes[0]


def test_build_report_appends_to_the_steps_summary_within_its_limit(settings: Settings) -> None:
    """What a step has written before stays; both together stay under GitHub's limit."""
    write(settings, "parity", *[Outcome.FAILED] * 200)
    step = settings.root / "step.md"
    configured = replace(settings, step_summary=step)
    build_report(configured)
    whole = step.read_text()
    assert whole == (settings.reports / "summary.md").read_text()
    step.write_text("x" * (MAX_SUMMARY_BYTES - 5_000))
    build_report(configured)
    assert step.read_text().startswith("xxx")
    assert "left out for length" in step.read_text()
    assert step.stat().st_size <= MAX_SUMMARY_BYTES
    step.write_text("x" * MAX_SUMMARY_BYTES)
    report = build_report(configured)
    assert step.stat().st_size == MAX_SUMMARY_BYTES
    assert "the step's summary is full" in report.notes[-1]


def test_build_report_where_the_steps_summary_cannot_be_written_is_broken(
    settings: Settings,
) -> None:
    """A wrong variable is named."""
    write(settings, "parity", Outcome.PASSED)
    with pytest.raises(BrokenError, match="cannot be appended"):
        build_report(replace(settings, step_summary=settings.root / "no" / "step.md"))


def test_build_report_of_another_folder_writes_there(settings: Settings, tmp_path: Path) -> None:
    """Reports that were collected from several jobs are merged where they are."""
    write(settings, "parity", Outcome.PASSED)
    elsewhere = tmp_path / "collected"
    settings.reports.rename(elsewhere)
    report = build_report(settings, reports=elsewhere)
    assert report.summary == elsewhere / "summary.md"
    assert report.to_json()["exit_code"] == 0


def test_build_report_twice_is_the_same(settings: Settings) -> None:
    """A report does not read itself."""
    write(settings, "parity", Outcome.PASSED, Outcome.FAILED)
    first = build_report(settings)
    before = first.summary.read_bytes(), first.junit.read_bytes()
    second = build_report(settings)
    assert (second.summary.read_bytes(), second.junit.read_bytes()) == before
