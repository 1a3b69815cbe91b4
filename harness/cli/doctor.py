"""`harness doctor`: is this machine ready, and are the settings?"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from harness.cli.verdicts import STYLES
from harness.model.outcome import Outcome
from harness.workflow.doctor import examine

__all__ = ["app"]

app = typer.Typer()


@app.command()
def doctor(
    *,
    live: Annotated[
        bool, typer.Option("--live", help="Ask the real service whether it knows the key.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
) -> None:
    """Examines the machine and the settings, and says what to do about what is missing."""
    verdict = examine(Path.cwd(), live=live)
    if as_json:
        json.dump(verdict.to_json(), sys.stdout, indent=2)
        sys.stdout.write("\n")
        raise typer.Exit(verdict.exit_code)
    console = Console(highlight=False, soft_wrap=True)
    words = {Outcome.PASSED: "ok", Outcome.NOT_RUN: "not yet"}
    for check in verdict.checks:
        word = words.get(check.outcome, check.outcome.value)
        first, *more = (check.reason or "").splitlines() or [""]
        console.print(Text(f"{word:8}", style=STYLES[check.outcome]), f"{check.name:12}", first)
        for line in more:
            console.print(" " * 22, line)
    ready = verdict.outcome is Outcome.PASSED
    console.print("ready for offline runs" if ready else "not ready: see above what to do")
    raise typer.Exit(verdict.exit_code)
