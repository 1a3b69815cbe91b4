"""Counts false alarms: the same library, the same product, again and again.

Nothing changes between the runs, so that every run that does not pass cries wolf. Each
runs every case here and in a sandbox once; the first of the two local runs that show what
differs by itself is the one of the run before, so that only the very first has two. A run
that alarmed keeps its folder, so that the cause can be looked for; others are removed, once
the next one needs their files no more.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from harness.clock import Clock, SystemClock
from harness.model.evidence import Evidence
from harness.model.outcome import Outcome
from harness.model.run import Json
from harness.model.verdict import Check, Verdict
from harness.ports import Target
from harness.reports.session import write_session
from harness.settings import Settings
from harness.workflow.parity import ParityOptions, Reach, Watcher, run_parity
from harness.workflow.parity_endpoint import far_end

__all__ = ["FALSE_ALARMS", "RepetitionWatcher", "count_false_alarms"]

FALSE_ALARMS = "parity-false-alarms"
_QUIET = {Outcome.PASSED, Outcome.NOT_RUN}


class RepetitionWatcher:
    """What a person sees while it runs; this one shows nothing."""

    def finished(self, run: Check, *, done: int, total: int) -> None:
        """The library has been run once more."""


@dataclass(slots=True, kw_only=True)
class _Count:
    """What is known so far."""

    options: ParityOptions
    asked: int
    started_at: datetime
    runs: list[Check]
    earlier: dict[str, Evidence] = field(default_factory=dict)
    done_with: Path | None = None
    compared: int = 0
    interrupted: bool = False
    leak: bool = False


def count_false_alarms(
    settings: Settings,
    target: Target,
    options: ParityOptions,
    *,
    times: int,
    watcher: RepetitionWatcher | None = None,
    clock: Clock | None = None,
    reach: Reach = far_end,
) -> Verdict:
    """Runs the cases that many times and counts the runs that did not pass.

    Args:
        settings: folders, key and flags.
        target: the system under test.
        options: what is run each time.
        times: how often.
        watcher: is told how it goes.
        clock: the time.
        reach: opens the far end of each run.

    Returns:
        A verdict with a check for each run; `details` hold the number of runs, of
        compared cases and of false alarms. It is written as a session of its own.

    Raises:
        UsageError: if the file of allowances or a setting is wrong.
        BrokenError: if nothing can be written.
    """
    clock, watcher = clock or SystemClock(), watcher or RepetitionWatcher()
    count = _Count(options=options, asked=times, started_at=clock.now(), runs=[])
    begun_s = clock.monotonic_s()
    while len(count.runs) < times and not count.interrupted:
        verdict = run_parity(
            settings,
            target,
            options,
            clock=clock,
            reach=reach,
            watcher=Watcher(),
            report=False,
            earlier=count.earlier,
        )
        _note(count, verdict, settings)
        if not count.interrupted:
            watcher.finished(count.runs[-1], done=len(count.runs), total=times)
    _remove(count.done_with)
    verdict = Verdict(
        session=FALSE_ALARMS,
        endpoint=options.far_end.value,
        started_at=count.started_at,
        duration_s=clock.monotonic_s() - begun_s,
        checks=tuple(count.runs),
        leak=count.leak,
        interrupted=count.interrupted,
        details=_details(count, target),
    )
    write_session(settings.reports, verdict)
    return verdict


def _note(count: _Count, verdict: Verdict, settings: Settings) -> None:
    """One run; one that a person ended says nothing, and is not counted."""
    count.leak = count.leak or verdict.leak
    _remove(count.done_with)
    count.done_with = None
    if verdict.interrupted:
        count.interrupted = True
        return
    alarms = [check for check in verdict.checks if check.outcome not in _QUIET]
    names = ", ".join(f"{check.name}: {_first_line(check.reason)}" for check in alarms)
    folder = settings.testing_env / "runs" / str(verdict.details["run_id"])
    if alarms:
        names += f"\nnext: look into {folder}"
        count.earlier.clear()
    else:
        count.done_with = folder
    count.compared += sum(
        check.name in {case.name for case in count.options.cases}
        and check.outcome is not Outcome.NOT_RUN
        for check in verdict.checks
    )
    count.runs.append(
        Check(
            name=f"run {len(count.runs) + 1}",
            outcome=verdict.outcome,
            reason=names,
            duration_s=verdict.duration_s,
        )
    )


def _remove(folder: Path | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def _details(count: _Count, target: Target) -> dict[str, Json]:
    alarms = sum(run.outcome not in _QUIET for run in count.runs)
    return {
        "target": {"name": target.name, "version": target.version},
        "asked": count.asked,
        "runs": len(count.runs),
        "cases": len(count.options.cases),
        "compared": count.compared,
        "false_alarms": alarms,
    }


def _first_line(text: str) -> str:
    return (text.splitlines() or [""])[0]
