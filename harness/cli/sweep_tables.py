"""How a sweep looks in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.orphans import Decision, Fate, Ruling, SweepReport

__all__ = ["print_listing", "print_sweep"]

_RULING_STYLES = {Ruling.DUE: "red", Ruling.KEPT: "green", Ruling.NOT_OURS: "dim"}
_FATE_STYLES = {
    Fate.WOULD_END: "yellow",
    Fate.ENDED: "green",
    Fate.ALREADY_GONE: "green",
    Fate.CHANGED: "yellow",
    Fate.FAILED: "red",
    Fate.STILL_ALIVE: "red",
    Fate.NOT_TRIED: "yellow",
    Fate.UNDER_WAY: "yellow",
}
_WHOLE = frozenset({"sandbox", "state", "age", "ruling"})
UNBOUNDED = 500
WIDE = 110
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def print_listing(report: SweepReport) -> None:
    """Every sandbox with its ruling, then the counts; a narrow terminal leaves out the owners."""
    console = _console()
    wide = console.width >= WIDE
    table = _table("sandbox", "state", "age", "ruling", "why", *(("run", "owner") if wide else ()))
    for decision in report.decisions:
        tags = decision.tags
        origin = (tags.run_id, tags.owner) if tags else ("", "")
        table.add_row(
            *_identity(decision),
            Text(decision.ruling, style=_RULING_STYLES[decision.ruling]),
            decision.reason,
            *(origin if wide else ()),
        )
    _print(console, table, report, rows=len(report.decisions))
    if report.decisions and not wide:
        console.print(f"runs and owners: from {WIDE} columns on, or with --json", style="dim")


def print_sweep(report: SweepReport) -> None:
    """What was due with its fate, then the counts."""
    table = _table("sandbox", "state", "age", "why", "fate", "")
    for ending in report.endings:
        table.add_row(
            *_identity(ending.decision),
            ending.decision.reason,
            Text(ending.fate, style=_FATE_STYLES[ending.fate]),
            ending.why,
        )
    _print(_console(), table, report, rows=len(report.endings))


def _console() -> Console:
    console = Console(highlight=False)
    if console.is_terminal:
        return console
    return Console(highlight=False, width=UNBOUNDED)  # a file or a pipe has no edge


def _print(console: Console, table: Table, report: SweepReport, *, rows: int) -> None:
    if rows:
        console.print(table)
    counts = [f"{count} {name}" for name, count in report.counts().items()]
    console.print(", ".join(counts))
    if report.skew is not None and abs(report.skew) > timedelta(seconds=_MINUTE):
        console.print(f"this machine's clock is off by {_age(abs(report.skew))}; it was not used")
    if report.unverified:
        console.print(Text(f"not verified: {report.unverified}", style="red"))


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in headings:
        # Ids, states and ages are read and copied whole; the rest may fold.
        table.add_column(heading, no_wrap=heading in _WHOLE, overflow="fold")
    return table


def _identity(decision: Decision) -> Sequence[str]:
    return decision.record.sandbox_id, decision.record.state, _age(decision.age)


def _age(age: timedelta) -> str:
    seconds = max(0, int(age.total_seconds()))
    if seconds < _MINUTE:
        return f"{seconds}s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE}m {seconds % _MINUTE:02d}s"
    if seconds < _DAY:
        return f"{seconds // _HOUR}h {seconds % _HOUR // _MINUTE:02d}m"
    return f"{seconds // _DAY}d {seconds % _DAY // _HOUR:02d}h"
