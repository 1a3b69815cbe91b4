"""Reads what the sessions left in the folder of reports; what is missing or damaged is named.

The files may come from elsewhere (another job, another tool): they are redacted
again as they are read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from harness.errors import BrokenError
from harness.model.outcome import Outcome
from harness.model.run import Json
from harness.model.verdict import Check, Verdict
from harness.redaction import Redactor
from harness.reports.junit import checks_of, redact_junit
from harness.reports.session import JUNIT_FILE, VERDICT_FILE, read_verdict

__all__ = ["CATEGORIES", "SessionReport", "read_sessions"]

# What the harness is for, in the order of a report; a session besides (`tests`, `lint`) follows.
CATEGORIES = ("smoke-mocked", "smoke-live", "parity", "orphans", "secret-scan")
_BAD = {Outcome.FAILED, Outcome.BROKEN}


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionReport:
    """One session, as the report sees it.

    Attributes:
        verdict: what it found; with a BROKEN check for each file that says nothing.
        junit: its JUnit file, or the check that stands for it.
        ran: it left a folder; else nobody ran it.
    """

    verdict: Verdict
    junit: bytes | Check
    ran: bool = True


def read_sessions(reports: Path, redactor: Redactor) -> list[SessionReport]:
    """Every session below a folder, the categories first; a category without a folder is NOT_RUN.

    Args:
        reports: such as `testing_env/reports`; need not be there.
        redactor: what must not pass on.
    """
    folders = {path.name: path for path in sorted(reports.glob("*/")) if path.name[0] != "."}
    names = [*CATEGORIES, *(name for name in folders if name not in CATEGORIES)]
    return [_read(folders[name], redactor) if name in folders else _not_run(name) for name in names]


def _not_run(session: str) -> SessionReport:
    check = Check(name=session, outcome=Outcome.NOT_RUN, reason=f"no report: nox -s {session}")
    verdict = Verdict(
        session=session,
        endpoint="none",
        started_at=datetime.fromtimestamp(0, UTC),
        duration_s=0.0,
        checks=(check,),
    )
    return SessionReport(verdict=verdict, junit=check, ran=False)


def _read(folder: Path, redactor: Redactor) -> SessionReport:
    verdict = _verdict(folder, redactor)
    try:
        junit = redact_junit((folder / JUNIT_FILE).read_bytes(), redactor.text)
        checks = checks_of(junit)
    except OSError as error:
        cause = f"{JUNIT_FILE}: {error.strerror or error}"
    except BrokenError as error:
        cause = f"{JUNIT_FILE}: {error.happened}"
    else:
        bad = [check for check in checks if check.outcome in _BAD]
        if bad and verdict.outcome not in _BAD:
            cause = f"{JUNIT_FILE} shows {len(bad)} failures, the verdict says {verdict.outcome}"
            return SessionReport(verdict=_broken(verdict, cause), junit=junit)
        return SessionReport(verdict=verdict, junit=junit)
    return SessionReport(verdict=_broken(verdict, cause), junit=_check(cause))


def _verdict(folder: Path, redactor: Redactor) -> Verdict:
    try:
        verdict = read_verdict(folder / VERDICT_FILE)
        document: Json = redactor.json(verdict.to_json())
        if not isinstance(document, dict):
            raise TypeError(f"a verdict became a {type(document).__name__}")
        # The folder's name is what `nox -s` and the reader know.
        return replace(Verdict.from_json(document), session=folder.name)
    except BrokenError as error:
        cause = error.happened
    written = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
    empty = Verdict(
        session=folder.name, endpoint="none", started_at=written, duration_s=0.0, checks=()
    )
    return _broken(empty, cause)


def _broken(verdict: Verdict, cause: str) -> Verdict:
    return replace(verdict, checks=(*verdict.checks, _check(cause)))


def _check(cause: str) -> Check:
    return Check(name="report of the session", outcome=Outcome.BROKEN, reason=cause)
