"""How an exploration looks in a terminal: finds as they come, then each with its pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from harness.cli.invocation import command_line
from harness.cli.verdicts import STYLES
from harness.model.difference import Difference
from harness.model.outcome import Outcome
from harness.model.verdict import Verdict
from harness.settings import Settings
from harness.workflow.exploration import ExplorationWatcher
from harness.workflow.explored_cases import Find

__all__ = ["ExplorationLines", "print_exploration"]

MIN_WIDTH = 110
EVERY = 10  # pipelines between two lines where nothing new is found
Entry = Mapping[str, Any]  # one find, as verdict.json has it


class ExplorationLines(ExplorationWatcher):
    """Writes to standard error what is new."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._found = 0

    def began(self, what: str) -> None:
        """Says what takes a while now."""
        self._console.print(f"{escape(what)} …", style="dim")

    def ran(self, *, done: int, total: int, new: Sequence[Difference]) -> None:
        """Says what a pipeline showed first."""
        self._found += len(new)
        if new or done % EVERY == 0 or done == total:
            first = f", first {new[0].path}" if new else ""
            self._console.print(
                f"[{done}/{total}]".rjust(11),
                Text(f"{len(new)} new{first} ({self._found} in all)"),
            )

    def shrank(self, find: Find) -> None:
        """Says how far a find shrank, where that was not known from another."""
        if not find.runs:
            return
        before, after = find.before, find.after
        self._console.print(
            Text(
                f"  {find.difference.id}  {before.step_count} steps, {before.size_bytes} bytes → "
                f"{after.step_count} steps, {after.size_bytes} bytes, {find.runs} runs"
            )
        )


def print_exploration(verdict: Verdict, settings: Settings, *, verbose: bool = False) -> None:
    """Prints the verdict of an exploration to standard output.

    Args:
        verdict: the verdict, as it was written to verdict.json.
        settings: where reports are.
        verbose: show also the finds that are known, each with its cause.
    """
    console = Console(highlight=False, soft_wrap=True)
    finds: list[Entry] = list(verdict.details.get("finds", []))  # type: ignore[arg-type]  # of verdict.json
    if finds:
        console.print(_table(finds), width=max(console.width, MIN_WIDTH))
    _print_finds(console, finds if verbose else [item for item in finds if _is_new(item)])
    for check in verdict.checks:
        if check.outcome in {Outcome.BROKEN, Outcome.NOT_RUN}:
            console.print(Text(check.outcome.value, style=STYLES[check.outcome]), end=" ")
            console.print(Text(f"{check.name}: {check.reason}"))
    details: Entry = verdict.details
    known = sum(item["known"] is not None for item in finds)
    console.print(
        f"\n[bold]exploration[/bold] of {escape(str(details['target']['name']))} "
        f"{details['target']['version']} on {verdict.endpoint}, seed {details['seed']}:",
        Text(verdict.outcome.value, style=STYLES[verdict.outcome]),
        f"· {len(finds)} divergences, {known} of them known, in {details['compared']} of "
        f"{details['examples']} pipelines · {details['pipelines_run']} run · "
        f"{verdict.duration_s:.0f} s",
    )
    if verdict.interrupted:
        console.print("interrupted before its end; what was found is kept, every sandbox is ended")
    console.print(f"report: {settings.reports / verdict.session / 'verdict.json'}")
    new = [item for item in finds if _is_new(item)]
    if new:
        name = _case_of(new[0])
        console.print("\nthe first new one, as a case of the library:")
        console.print(f"  cp {escape(str(new[0]['file']))} harness/targets/osiris/cases/")
        console.print(f"  {command_line('parity', 'run', '--case', name, '--no-allowances')}")


def _table(finds: Sequence[Entry]) -> Table:
    """One line for each smallest pipeline: how far it shrank, and the first that it shows."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("smallest pipeline", "steps", "bytes", "new", "known", "shows first"):
        table.add_column(heading, no_wrap=heading != "shows first")
    together: dict[str, list[Entry]] = {}
    for item in finds:
        together.setdefault(_case_of(item), []).append(item)
    for name, group in together.items():
        first = next((item for item in group if _is_new(item)), group[0])
        before, after = first["before"], first["after"]
        new = sum(map(_is_new, group))
        table.add_row(
            name,
            f"{before['steps']} → {after['steps']}",
            f"{before['bytes']} → {after['bytes']}",
            Text(str(new), style="red" if new else ""),
            str(sum(item["known"] is not None for item in group)),
            escape(f"{first['path']} ({first['kind']})"),
        )
    return table


def _print_finds(console: Console, finds: Sequence[Entry]) -> None:
    for item in finds:
        word, style = ("new", "red") if _is_new(item) else ("known", "yellow")
        if item["confirmed"] is False:
            word, style = "noise", "dim"
        console.print(
            Text.assemble(
                (f"\n{item['id']}", "cyan"),
                ("  ", ""),
                (item["path"], "bold"),
                (f"  {item['kind']}  ", ""),
                (word, style),
            )
        )
        console.print(
            Text(
                f"  in {item['seen_in']} pipelines, first in example {item['example']}; "
                f"smallest: {_case_of(item)}",
                style="dim",
            )
        )
        for label, value in (("here", item["local"]), ("sandbox", item["remote"])):
            console.print(Text(f"  {label:<9}{_first_line(value)}"))
        if item["known"] is not None:
            console.print(Text(f"  {'cause':<9}{item['known']['reason']}"))


def _is_new(item: Entry) -> bool:
    return item["known"] is None and item["confirmed"] is not False


def _case_of(item: Entry) -> str:
    return str(item["file"]).rsplit("/", 1)[-1].removesuffix(".yaml")


def _first_line(value: str | None) -> str:
    return "(nothing)" if value is None else (value.splitlines() or [""])[0]
