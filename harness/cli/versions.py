"""`harness versions …`: the same contract over many versions of E2B's SDKs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.cli.verdicts import STYLES
from harness.model.outcome import Outcome, worst
from harness.settings import Settings
from harness.workflow.figures import note_versions
from harness.workflow.versions import Row, run_versions
from harness.workflow.versions_matrix import chosen

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _noun() -> None:
    """Which versions of E2B's SDKs does the emulator serve?"""


@app.command(name="run")
def run_command(
    *,
    only: Annotated[
        list[str] | None, typer.Option(help="A client such as python-2.45.1; repeatable.")
    ] = None,
    figures: Annotated[Path | None, typer.Option(help="Note the rows in this JSON file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
) -> None:
    """Runs the contract with each version, Python and JavaScript, and says which broke."""
    settings = Settings.load()
    verdict, rows = run_versions(chosen(only or ()), settings, say=_say)
    if figures is not None:
        note_versions(figures, rows, verdict.started_at)
    if as_json:
        json.dump(verdict.to_json(), sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        _print(rows)
    raise typer.Exit(verdict.exit_code)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _print(rows: Sequence[Row]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("client", "installed", "verdict", "passed", "failed", "lacks", "attached by"):
        table.add_column(heading)
    for row in rows:
        outcome = worst(check.outcome for check in row.checks)
        table.add_row(
            row.client.name,
            row.installed,
            Text(outcome.value, style=STYLES[outcome]),
            str(row.count(Outcome.PASSED)),
            str(row.count(Outcome.FAILED) + row.count(Outcome.BROKEN)),
            str(row.count(Outcome.NOT_RUN)),
            row.client.attached_by.value,
        )
    console.print(table)
    for row in rows:
        for check in row.checks:
            if check.outcome in {Outcome.FAILED, Outcome.BROKEN}:
                console.print(f"{row.client.name}: {check.name}: {check.reason}", markup=False)
