"""The category report: what every session found, in one junit.xml and one summary.md.

The verdict on the whole is the worst of what ran; what did not run is listed with its
reason and never counts as a pass. A known leak of a secret stops the report: nothing
is merged, and an earlier report is withdrawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import BrokenError, ExitCode, LeakError, NotRunError
from harness.model.outcome import Outcome
from harness.model.run import Json
from harness.redaction import Redactor
from harness.reports.collect import SessionReport, read_sessions
from harness.reports.junit import merge_junit
from harness.reports.session import JUNIT_FILE
from harness.reports.storage import write_files
from harness.reports.summary import MAX_SUMMARY_BYTES, render_summary
from harness.settings import Settings
from harness.workflow.secret_scan import SESSION as SECRET_SCAN
from harness.workflow.secret_scan import SESSION_OF_PATHS

__all__ = ["SUMMARY_FILE", "Report", "build_report"]

SUMMARY_FILE = "summary.md"
_ORDER = (
    ExitCode.LEAK,
    ExitCode.INTERRUPTED,
    ExitCode.BROKEN,
    ExitCode.FAILED,
    ExitCode.PASSED,
    ExitCode.NOT_RUN,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was merged.

    Attributes:
        sessions: the categories first, then what else ran.
        exit_code: the verdict on the whole.
        notes: what the reader must know besides.
        junit: the merged file.
        summary: the summary in Markdown.
    """

    sessions: tuple[SessionReport, ...]
    exit_code: ExitCode
    notes: tuple[str, ...]
    junit: Path
    summary: Path

    def to_json(self) -> dict[str, Json]:
        """The report as JSON; each session as in its verdict.json."""
        return {
            "exit_code": int(self.exit_code),
            "verdict": self.exit_code.name.lower(),
            "notes": list(self.notes),
            "junit": str(self.junit),
            "summary": str(self.summary),
            "sessions": [session.verdict.to_json() for session in self.sessions],
        }


def build_report(settings: Settings, *, reports: Path | None = None) -> Report:
    """Merges the sessions' reports and appends the summary to GitHub's where there is one.

    Args:
        settings: where the reports are.
        reports: another folder of reports.

    Raises:
        LeakError: if a secret scan found a leak; nothing is written.
        NotRunError: if no session has left a report.
        BrokenError: if the files cannot be written.
    """
    reports = reports or settings.reports
    sessions = read_sessions(reports, Redactor.of_process(root=settings.root))
    _refuse_leak(reports, sessions, settings)
    if not any(session.ran for session in sessions):
        raise NotRunError(
            f"no session has left a report in {reports}",
            expected="a folder for each session that ran, with its verdict.json",
            next_step="nox -s smoke-mocked parity secret-scan report",
        )
    exit_code = _exit_code(sessions)
    notes = _notes(sessions)
    summary = render_summary(sessions, exit_code=exit_code, notes=notes)
    junit = merge_junit({session.verdict.session: session.junit for session in sessions})
    write_files(reports, {JUNIT_FILE: junit, SUMMARY_FILE: summary.encode("utf-8", "replace")})
    if settings.step_summary is not None:
        notes = (*notes, *_append(settings.step_summary, sessions, exit_code, notes))
    return Report(
        sessions=tuple(sessions),
        exit_code=exit_code,
        notes=notes,
        junit=reports / JUNIT_FILE,
        summary=reports / SUMMARY_FILE,
    )


def _refuse_leak(reports: Path, sessions: Sequence[SessionReport], settings: Settings) -> None:
    leaks = [
        session.verdict
        for session in sessions
        if session.verdict.session in {SECRET_SCAN, SESSION_OF_PATHS} and session.verdict.leak
    ]
    if not leaks:
        return
    for name in (JUNIT_FILE, SUMMARY_FILE):
        (reports / name).unlink(missing_ok=True)
    found = [check for check in leaks[0].checks if check.location]
    first = f": {found[0].name}" if found else ""
    error = LeakError(
        f"Secret leaked in logs or repository{first}; the report is refused",
        expected=f"a secret scan without findings; {reports / leaks[0].session} has them",
        next_step="mend it (docs/how-to/when-a-secret-leaked.md), then: nox -s secret-scan report",
    )
    if settings.step_summary is not None:
        _write_to(settings.step_summary, "# e2b-harness: LEAK\n\nA secret leaked: no report.\n")
    raise error


def _exit_code(sessions: Sequence[SessionReport]) -> ExitCode:
    codes = {session.verdict.exit_code for session in sessions}
    return next(code for code in _ORDER if code in codes)


def _notes(sessions: Sequence[SessionReport]) -> tuple[str, ...]:
    (scan,) = (s.verdict for s in sessions if s.verdict.session == SECRET_SCAN)
    if not any(s.ran and s.verdict.session == SECRET_SCAN for s in sessions):
        return ("no secret scan was made: do not upload anything before `nox -s secret-scan`",)
    if scan.outcome is not Outcome.PASSED:
        return (f"the secret scan has not passed ({scan.outcome}): do not upload anything",)
    newer = [
        s.verdict.session
        for s in sessions
        if s.ran and s.verdict.session != SECRET_SCAN and s.verdict.started_at > scan.started_at
    ]
    if newer:
        return (f"not in the secret scan, because they ran after it: {', '.join(newer)}",)
    return ()


def _append(
    path: Path, sessions: Sequence[SessionReport], exit_code: ExitCode, notes: Sequence[str]
) -> tuple[str, ...]:
    """Appends the summary to the step's; what the step has written already counts in its limit."""
    try:
        size_bytes = path.stat().st_size if path.exists() else 0
    except OSError as error:
        raise _unwritable(path, error) from error
    room = MAX_SUMMARY_BYTES - size_bytes
    summary = render_summary(
        sessions, exit_code=exit_code, notes=notes, budget_bytes=max(room - 1, 0)
    )
    if not summary:
        return ("the step's summary is full: the report is in summary.md alone",)
    _write_to(path, f"\n{summary}" if size_bytes else summary)
    return ()


def _write_to(path: Path, text: str) -> None:
    try:
        with path.open("ab") as file:
            file.write(text.encode("utf-8", "replace"))
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> BrokenError:
    return BrokenError(
        f"the summary cannot be appended to {path}: {error.strerror or error}",
        expected="the file that GITHUB_STEP_SUMMARY names, in a folder that is there",
        next_step="unset GITHUB_STEP_SUMMARY outside of GitHub Actions, then: nox -s report",
    )
