"""`harness parity false-alarms`: does parity cry wolf where nothing has changed?"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from harness.cli.parity_verdicts import print_json
from harness.cli.verdicts import STYLES
from harness.model.outcome import Outcome
from harness.model.verdict import Check, Verdict
from harness.settings import Settings
from harness.targets.registry import load_target
from harness.workflow.parity import JOBS, ParityOptions
from harness.workflow.parity_repetition import RepetitionWatcher, count_false_alarms
from harness.workflow.parity_selection import select_cases

__all__ = ["false_alarms"]

TIMES = 50


class _Lines(RepetitionWatcher):
    """One line to standard error for each run."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)

    def finished(self, run: Check, *, done: int, total: int) -> None:
        """Says how a run ended."""
        word = Text(run.outcome.value, style=STYLES[run.outcome])
        told = Text(f"({run.duration_s:.0f} s) {run.reason}".rstrip())
        self._console.print(f"[{done}/{total}]".rjust(9), word, told)


def false_alarms(
    *,
    times: Annotated[int, typer.Option(min=1, help="How often the cases are run.")] = TIMES,
    case: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this case; may be repeated.")
    ] = None,
    expression: Annotated[
        str | None, typer.Option("-k", metavar="EXPR", help="Only cases that this fits, as pytest.")
    ] = None,
    jobs: Annotated[
        int, typer.Option("-n", min=1, metavar="N", help="How many cases run side by side.")
    ] = JOBS,
    osiris: Annotated[
        str | None, typer.Option(metavar="VERSION", help="Version of osiris-pipeline.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
) -> None:
    """Runs the library again and again, unchanged: every run that does not pass cries wolf."""
    settings = Settings.load()
    target = load_target("osiris", settings=settings, version=osiris)
    library = target.cases()
    options = ParityOptions(
        cases=select_cases(library, names=case or (), expression=expression),
        library=library,
        jobs=jobs,
    )
    verdict = count_false_alarms(settings, target, options, times=times, watcher=_Lines())
    if as_json:
        print_json(verdict.to_json())
    else:
        _print(verdict, settings)
    raise typer.Exit(verdict.exit_code)


def _print(verdict: Verdict, settings: Settings) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for check in verdict.checks:
        if check.outcome is not Outcome.PASSED:
            word = Text(check.outcome.value, style=STYLES[check.outcome])
            console.print(word, Text(f"{check.name}: {check.reason}"))
    details = verdict.details
    alarms = details["false_alarms"]
    console.print(
        Text(f"{alarms} false alarms", style="red" if alarms else "green"),
        f"in {details['runs']} runs of {details['cases']} cases "
        f"({details['compared']} comparisons) · {verdict.duration_s:.0f} s",
    )
    console.print(f"report: {settings.reports / verdict.session / 'verdict.json'}")
