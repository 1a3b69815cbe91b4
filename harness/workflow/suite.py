"""Runs pytest, or a list of plain checks, as a session that ends in a verdict.

Nox and CI only see an exit code; the verdict says what ran, what did not and why.
"""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.clock import Clock, SystemClock
from harness.errors import BrokenError, ExitCode
from harness.model.outcome import Outcome
from harness.model.verdict import Check, Verdict
from harness.reports.junit import checks_of
from harness.reports.session import write_session
from harness.settings import Settings
from harness.workflow.processes import run_child

__all__ = ["PytestRun", "run_pytest", "run_steps"]

NO_TESTS_COLLECTED = 5  # Source: pytest's exit codes


@dataclass(frozen=True, slots=True, kw_only=True)
class PytestRun:
    """One pytest run that a session consists of.

    Attributes:
        session: the session's name; also the folder of its report.
        endpoint: what stands at the far end, for the verdict.
        arguments: pytest's arguments, the user's own among them.
    """

    session: str
    endpoint: str
    arguments: tuple[str, ...]


def run_pytest(run: PytestRun, settings: Settings, *, clock: Clock | None = None) -> Verdict:
    """Runs pytest in a process of its own and writes the session's report.

    Raises:
        BrokenError: if the report cannot be written.
    """
    clock = clock or SystemClock()
    started_at, started_s = clock.now(), clock.monotonic_s()
    with tempfile.TemporaryDirectory(prefix="harness-junit-") as folder:
        junit_path = Path(folder) / "junit.xml"
        command = [
            *(sys.executable, "-m", "pytest", f"--junit-xml={junit_path}"),
            *("-o", f"junit_suite_name={run.session}"),
            *run.arguments,
        ]
        ended = run_child(command, cwd=settings.root)
        junit = junit_path.read_bytes() if junit_path.is_file() else None
    checks = _checks(run, ended.returncode, junit, interrupted=ended.interrupted)
    verdict = Verdict(
        session=run.session,
        endpoint=run.endpoint,
        started_at=started_at,
        duration_s=clock.monotonic_s() - started_s,
        checks=checks,
        interrupted=ended.interrupted,
    )
    write_session(settings.reports, verdict, junit=junit)
    return verdict


def _checks(
    run: PytestRun, returncode: int, junit: bytes | None, *, interrupted: bool
) -> tuple[Check, ...]:
    if returncode == NO_TESTS_COLLECTED:
        reason = f"no test was selected by: {shlex.join(run.arguments)}"
        return (Check(name="pytest", outcome=Outcome.NOT_RUN, reason=reason),)
    if interrupted:
        return (Check(name="pytest", outcome=Outcome.BROKEN, reason="interrupted"),)
    if junit is None:
        reason = f"pytest ended with exit code {returncode} and wrote no report"
        return (Check(name="pytest", outcome=Outcome.BROKEN, reason=reason),)
    checks = checks_of(junit)
    bad = any(check.outcome in {Outcome.FAILED, Outcome.BROKEN} for check in checks)
    if returncode != 0 and not bad:
        reason = f"pytest ended with exit code {returncode} although its report shows no failure"
        return (*checks, Check(name="pytest", outcome=Outcome.BROKEN, reason=reason))
    return checks


def run_steps(
    session: str, commands: Sequence[str], settings: Settings, *, clock: Clock | None = None
) -> Verdict:
    """Runs each command line to its end, also after one failed, and writes the report.

    Raises:
        BrokenError: if a command does not exist or the report cannot be written.
    """
    clock = clock or SystemClock()
    started_at, started_s = clock.now(), clock.monotonic_s()
    checks: list[Check] = []
    interrupted = False
    for line in commands:
        check, interrupted = _step(line, settings, clock)
        checks.append(check)
        if interrupted:
            break
    verdict = Verdict(
        session=session,
        endpoint="none",
        started_at=started_at,
        duration_s=clock.monotonic_s() - started_s,
        checks=tuple(checks),
        interrupted=interrupted,
    )
    write_session(settings.reports, verdict)
    return verdict


def _step(line: str, settings: Settings, clock: Clock) -> tuple[Check, bool]:
    print(f"$ {line}", flush=True)  # noqa: T201 - the command's own output follows it
    started_s = clock.monotonic_s()
    try:
        ended = run_child(shlex.split(line), cwd=settings.root)
    except FileNotFoundError as error:
        raise BrokenError(
            f"no such program: {shlex.split(line)[0]}",
            expected="the program of this step in the session's environment",
            next_step="run the session through nox, which installs it",
        ) from error
    passed = ended.returncode == ExitCode.PASSED
    check = Check(
        name=line,
        outcome=Outcome.PASSED if passed else Outcome.FAILED,
        reason="" if passed else f"exit code {ended.returncode}; see its output",
        duration_s=clock.monotonic_s() - started_s,
    )
    return check, ended.interrupted
