"""The orphans category: a sweep that proves itself, the tests, and the real listing.

The control runs always: in an emulator it plants an orphan among sandboxes that are
none, and the sweep has to find and end exactly that one. Live, the account's own
listing is judged in a dry run; an orphan found there is a leak.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import httpx

from harness.clock import SystemClock
from harness.emulator.attach import Emulator
from harness.errors import BrokenError, HarnessError
from harness.model.outcome import Outcome
from harness.model.run import Json
from harness.model.verdict import Check, Verdict
from harness.orphans import Fate, Rules, Sweeper, SweepReport, ledger_of
from harness.reports.session import write_session
from harness.sdk import ApiEndpoint, ApiSandboxDirectory
from harness.settings import Settings
from harness.workflow.suite import PytestRun, run_pytest

__all__ = ["CONTRACT", "TESTS", "checks_of_sweep", "run_control", "run_live", "run_orphans"]

# The sweep and its controls: each way to end a program, thousands of look-alikes, leftovers.
TESTS = (
    "tests/e2b/test_orphan_cleanup.py",
    "tests/e2b/test_orphan_leftovers.py",
    "tests/e2b/test_orphan_trials.py",
    "tests/unit/orphans/test_sweep_at_scale.py",
)
CONTRACT = "tests/contract"  # run once more with a gateway before the emulator
RULES = Rules(max_age=timedelta(hours=2))
LIFE_S = 12 * 3600
JUST_TOO_OLD_S = 2 * 3600 + 5
REQUEST_TIMEOUT_S = 60.0
_OVER = frozenset({Fate.ENDED, Fate.ALREADY_GONE, Fate.CHANGED})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Findings:
    """What a part found, before it becomes a verdict."""

    checks: tuple[Check, ...]
    leak: bool = False
    details: Mapping[str, Json] = field(default_factory=dict)


def run_orphans(
    settings: Settings, *, live: bool, require: bool = False, arguments: Sequence[str] = ()
) -> list[Verdict]:
    """Runs the control, the tests where the project has them, and the live part if asked.

    A project without tests of its own keeps the control and the live part.

    Args:
        settings: key, flags and folders.
        live: judge the account's own listing too.
        require: a live part that cannot run is a failure.
        arguments: passed on to pytest.

    Raises:
        BrokenError: if a report cannot be written.
    """
    verdicts = [run_control(settings)]
    for run in _test_runs(settings.root, arguments):
        if not verdicts[-1].interrupted:
            verdicts.append(run_pytest(run, settings))
    if live and not verdicts[-1].interrupted:
        verdicts.append(run_live(settings, require=require))
    return verdicts


def _test_runs(root: Path, arguments: Sequence[str]) -> Iterator[PytestRun]:
    tests = tuple(name for name in TESTS if (root / name).is_file())
    if tests:
        selection = (*tests, "-m", "not e2b_live", *arguments)
        yield PytestRun(session="orphans-tests", endpoint="emulator", arguments=selection)
    if (root / CONTRACT).is_dir():
        selection = (CONTRACT, "--e2b-gateway", "-m", "not e2b_live", *arguments)
        yield PytestRun(session="orphans-gateway", endpoint="emulator", arguments=selection)


def run_control(settings: Settings) -> Verdict:
    """Plants an orphan in an emulator; the sweep has to find and end exactly it.

    Raises:
        BrokenError: if the report cannot be written.
    """
    return _session("orphans", "emulator", settings, lambda: _control(settings))


def run_live(settings: Settings, *, require: bool = False) -> Verdict:
    """Judges the account's own listing; ends nothing.

    Raises:
        BrokenError: if the report cannot be written.
    """
    return _session("orphans-live", "live", settings, lambda: _live(settings, require=require))


def checks_of_sweep(report: SweepReport) -> tuple[Check, ...]:
    """One check for the listing, and one for each sandbox that was due."""
    listed = Check(
        name="listing",
        outcome=Outcome.BROKEN if report.unverified else Outcome.PASSED,
        reason=report.unverified,
    )
    due = (
        Check(
            name=f"sandbox {one.sandbox_id}",
            outcome=Outcome.PASSED if one.fate in _OVER else Outcome.FAILED,
            reason=""
            if one.fate in _OVER
            else f"{one.decision.reason}; {one.fate} {one.why}".strip(),
        )
        for one in report.endings
    )
    return (listed, *due)


def _session(
    name: str, endpoint: str, settings: Settings, work: Callable[[], _Findings]
) -> Verdict:
    """Runs one part and writes its report; an error is an outcome here, with its cause."""
    clock = SystemClock()
    started_at, started_s = clock.now(), clock.monotonic_s()
    try:
        findings = work()
    except Exception as error:  # noqa: BLE001 - the border of a workflow step
        reason = " | ".join(error.lines()) if isinstance(error, HarnessError) else repr(error)
        findings = _Findings(checks=(Check(name=name, outcome=Outcome.BROKEN, reason=reason),))
    verdict = Verdict(
        session=name,
        endpoint=endpoint,
        started_at=started_at,
        duration_s=clock.monotonic_s() - started_s,
        checks=findings.checks,
        leak=findings.leak,
        details=dict(findings.details),
    )
    write_session(settings.reports, verdict)
    return verdict


def _live(settings: Settings, *, require: bool) -> _Findings:
    reason = settings.why_not_live()
    if reason is not None:
        outcome = Outcome.FAILED if require or settings.required else Outcome.NOT_RUN
        return _Findings(checks=(Check(name="listing", outcome=outcome, reason=reason),))
    with ApiSandboxDirectory(ApiEndpoint.from_settings(settings)) as directory:
        report = Sweeper(directory, rules=RULES, ledger=ledger_of(settings)).judge()
    return _Findings(
        checks=checks_of_sweep(report), leak=bool(report.left), details=report.to_json()
    )


def _control(settings: Settings) -> _Findings:
    with Emulator(template_dir=settings.testing_env / "templates") as emulator:
        endpoint = ApiEndpoint.from_env(emulator.env)
        orphan, renewed = _create(endpoint), _create(endpoint)
        emulator.advance(JUST_TOO_OLD_S)
        young = _create(endpoint)
        _ask(endpoint, f"/sandboxes/{renewed}/timeout", {"timeout": LIFE_S})
        with ApiSandboxDirectory(endpoint) as directory:
            sweeper = Sweeper(directory, rules=RULES)

            def alive() -> set[str]:
                return {record.sandbox_id for record in directory.list()}

            checks = (
                _expect("a dry run finds the orphan only", {*sweeper.sweep().orphans}, {orphan}),
                _expect("a dry run ends nothing", alive(), {orphan, renewed, young}),
                _expect("force ends it", {*sweeper.sweep(force=True).orphans}, {orphan}),
                _expect("force ends nothing else", alive(), {renewed, young}),
                _expect("a second sweep finds nothing", {*sweeper.sweep().orphans}, set()),
            )
    return _Findings(checks=checks)


def _expect(name: str, found: set[str], expected: set[str]) -> Check:
    reason = "" if found == expected else f"found {sorted(found)}, expected {sorted(expected)}"
    return Check(name=name, outcome=Outcome.FAILED if reason else Outcome.PASSED, reason=reason)


def _create(endpoint: ApiEndpoint) -> str:
    created = _ask(endpoint, "/v2/sandboxes", {"templateID": "base", "timeout": LIFE_S})
    return str(created["sandboxID"])


def _ask(endpoint: ApiEndpoint, path: str, body: dict[str, Json]) -> dict[str, Json]:
    try:
        answer = httpx.post(
            f"{endpoint.api_url}{path}",
            json=body,
            headers={"X-API-Key": endpoint.api_key.reveal()},
            timeout=REQUEST_TIMEOUT_S,
            trust_env=False,
        )
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise BrokenError(
            f"the emulator did not take POST {path}: {error}",
            expected="an emulator that creates sandboxes on this machine",
            next_step="run `harness doctor`",
        ) from error
    document: dict[str, Json] = answer.json() if answer.content else {}
    return document
