"""How a verdict looks in a terminal: one table for every category."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.model.outcome import Outcome
from harness.model.verdict import Verdict
from harness.settings import Settings

__all__ = ["STYLES", "print_verdicts"]

STYLES = {
    Outcome.PASSED: "green",
    Outcome.FAILED: "red",
    Outcome.BROKEN: "magenta",
    Outcome.NOT_RUN: "yellow",
}
MAX_REASONS = 12


def print_verdicts(verdicts: Sequence[Verdict], settings: Settings, *, as_json: bool) -> None:
    """Prints the verdicts to standard output: JSON, or a table and the reasons under it."""
    if as_json:
        json.dump([verdict.to_json() for verdict in verdicts], sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    console = Console(highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("session", "verdict", "passed", "failed", "broken", "not run", "far end"):
        table.add_column(heading)
    for verdict in verdicts:
        counts = Counter(check.outcome for check in verdict.checks)
        table.add_row(
            verdict.session,
            Text(verdict.outcome.value, style=STYLES[verdict.outcome]),
            *(str(counts[outcome]) for outcome in Outcome),
            verdict.endpoint,
        )
    console.print(table)
    _print_reasons(console, verdicts)
    console.print(f"reports: {settings.reports}")


def _print_reasons(console: Console, verdicts: Sequence[Verdict]) -> None:
    lines = [
        (check.outcome, check.name, check.reason.splitlines()[0] if check.reason else "")
        for verdict in verdicts
        for check in verdict.checks
        if check.outcome is not Outcome.PASSED
    ]
    for outcome, name, reason in lines[:MAX_REASONS]:
        console.print(Text(outcome.value, style=STYLES[outcome]), Text(f"{name}: {reason}"))
    if len(lines) > MAX_REASONS:
        console.print(f"… and {len(lines) - MAX_REASONS} more in junit.xml")
