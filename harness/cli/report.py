"""`harness report`: what is the verdict?"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from harness.cli.verdicts import print_verdicts
from harness.settings import Settings
from harness.workflow.report import Report, build_report

__all__ = ["app"]

app = typer.Typer(invoke_without_command=True)

Reports = Annotated[
    Path | None, typer.Option("--reports", help="The folder of reports.", metavar="DIR")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]


@app.callback()
def report(context: typer.Context, *, reports: Reports = None, as_json: AsJson = False) -> None:
    """Merges every session's report; ends with the exit code of the worst that ran."""
    if context.invoked_subcommand is None:
        _report(reports, as_json=as_json)


@app.command()
def build(*, reports: Reports = None, as_json: AsJson = False) -> None:
    """Merges every session's report into junit.xml and summary.md."""
    _report(reports, as_json=as_json)


def _report(reports: Path | None, *, as_json: bool) -> None:
    settings = Settings.load()
    built = build_report(settings, reports=reports)
    if as_json:
        json.dump(built.to_json(), sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        _print(built, settings)
    raise typer.Exit(built.exit_code)


def _print(built: Report, settings: Settings) -> None:
    print_verdicts([session.verdict for session in built.sessions], settings, as_json=False)
    console = Console(highlight=False, soft_wrap=True)
    for note in built.notes:
        console.print(Text(f"note: {note}"))
    console.print(Text(f"summary: {built.summary}"))
    console.print(Text(f"verdict: {built.exit_code.name.lower().replace('_', ' ')}"))
