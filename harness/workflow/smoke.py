"""The smoke category: the product's own adapter, against the emulator and live.

The mocked part needs nothing and always runs. The live part runs when it is asked
for (`--live` or E2B_LIVE_TESTS=1), and is NOT_RUN with the reason where the
key is missing: asked for and not run is never green.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from harness.clock import SystemClock
from harness.errors import ExitCode
from harness.model.outcome import Outcome
from harness.model.verdict import Check, Verdict
from harness.reports.session import write_session
from harness.settings import Settings
from harness.workflow.suite import PytestRun, run_pytest

__all__ = ["LiveEndpoint", "Part", "exit_code", "run_smoke"]


class Part(StrEnum):
    """Which part of the smoke tests."""

    MOCKED = "mocked"
    LIVE = "live"


class LiveEndpoint(StrEnum):
    """What "live" means: the real service, or the emulator in its place."""

    SERVICE = "service"
    EMULATOR = "emulator"


def run_smoke(
    settings: Settings,
    *,
    parts: Sequence[Part],
    live_endpoint: LiveEndpoint = LiveEndpoint.SERVICE,
    require: bool = False,
    arguments: Sequence[str] = (),
) -> list[Verdict]:
    """Runs the parts that were asked for, each a session with a verdict of its own.

    Args:
        settings: key, flags and folders.
        parts: what was asked for.
        live_endpoint: what stands at the far end of the live part.
        require: a live part that cannot run is a failure.
        arguments: passed on to pytest.

    Raises:
        BrokenError: if a report cannot be written.
    """
    verdicts: list[Verdict] = []
    for part in parts:
        if part is Part.MOCKED:
            verdicts.append(_mocked(settings, arguments))
        else:
            verdicts.append(_live(settings, live_endpoint, arguments, require=require))
        if verdicts[-1].interrupted:
            break
    return verdicts


def exit_code(verdicts: Sequence[Verdict]) -> ExitCode:
    """The exit code of all parts together: what was asked for and did not run is not a pass."""
    codes = {verdict.exit_code for verdict in verdicts}
    order = (
        ExitCode.LEAK,
        ExitCode.INTERRUPTED,
        ExitCode.BROKEN,
        ExitCode.FAILED,
        ExitCode.NOT_RUN,
        ExitCode.PASSED,
    )
    return next((code for code in order if code in codes), ExitCode.BROKEN)


def _mocked(settings: Settings, arguments: Sequence[str]) -> Verdict:
    run = PytestRun(
        session="smoke-mocked",
        endpoint="emulator",
        arguments=("tests/e2b", "-m", "e2b_smoke and not e2b_live", *arguments),
    )
    return run_pytest(run, settings)


def _live(
    settings: Settings, live_endpoint: LiveEndpoint, arguments: Sequence[str], *, require: bool
) -> Verdict:
    reason = settings.why_not_live() if live_endpoint is LiveEndpoint.SERVICE else None
    if reason is not None:
        return _not_run(settings, reason, required=require or settings.required)
    run = PytestRun(
        session="smoke-live",
        endpoint="live" if live_endpoint is LiveEndpoint.SERVICE else "live-on-emulator",
        arguments=(
            *("tests/e2b", "-m", "e2b_smoke or e2b_live", "--e2b-live"),
            *(f"--live-endpoint={live_endpoint}", *arguments),
        ),
    )
    return run_pytest(run, settings)


def _not_run(settings: Settings, reason: str, *, required: bool) -> Verdict:
    outcome = Outcome.FAILED if required else Outcome.NOT_RUN
    clock = SystemClock()
    verdict = Verdict(
        session="smoke-live",
        endpoint="live",
        started_at=clock.now(),
        duration_s=0.0,
        checks=(Check(name="live", outcome=outcome, reason=reason),),
    )
    write_session(settings.reports, verdict)
    return verdict
