"""`harness parity controls`: are the faults found that a remote side could have?"""

from __future__ import annotations

import json
import os
import sys
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from harness.model.outcome import Outcome
from harness.model.verdict import Verdict
from harness.settings import Settings
from harness.targets.registry import load_target
from harness.workflow.parity_controls import (
    GROUPS,
    Control,
    ControlOptions,
    control_names,
    run_controls,
)
from harness.workflow.parity_selection import chooser

__all__ = ["controls"]


class Group(StrEnum):
    """Where the faults are planted."""

    SANDBOX = "sandbox"
    CAME_BACK = "came-back"


def controls(
    *,
    only: Annotated[
        Group | None, typer.Option(help="Only faults planted there; else both kinds.")
    ] = None,
    expression: Annotated[
        str | None, typer.Option("-k", metavar="EXPR", help="Only faults that this fits.")
    ] = None,
    osiris: Annotated[
        str | None, typer.Option(metavar="VERSION", help="Version of osiris-pipeline.")
    ] = None,
    list_only: Annotated[bool, typer.Option("--list", help="List the faults, plant none.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: found, total, each.")
    ] = False,
) -> None:
    """Plants faults into real runs in a sandbox, one at a time; each must be found at its place."""
    settings = Settings.load()
    options = ControlOptions(
        search_path=os.pathsep.join(os.get_exec_path()),
        groups=(only.value,) if only else GROUPS,
        chosen=chooser(expression) if expression else lambda _: True,
    )
    names = control_names(options)
    if list_only:
        sys.stdout.write("".join(f"{name}\n" for name in names))
        return
    console = Console(stderr=True, highlight=False, soft_wrap=True)

    def watch(control: Control, done: int, total: int) -> None:
        word = ("found" if control.path else "clean") if control.found else "missed"
        style = "green" if control.found else "red"
        counted = f"[{done}/{total}]" if control.path else "[control]"
        console.print(f"    {counted:>10} ", Text(f"{word:<7}", style=style), control.name)

    target = load_target("osiris", settings=settings, version=osiris)
    verdict = run_controls(settings, target, options, watch=watch)
    if as_json:
        json.dump({**verdict.details, "verdict": verdict.to_json()}, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        _print(verdict, settings)
    raise typer.Exit(verdict.exit_code)


def _print(verdict: Verdict, settings: Settings) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for check in verdict.checks:
        if check.outcome is not Outcome.PASSED:
            console.print(Text(f"{check.outcome.value} {check.name}", style="red"))
            for line in check.reason.splitlines():
                console.print(Text(f"  {line}"))
    found, total = verdict.details["found"], verdict.details["total"]
    clean = "silent without a fault" if verdict.details["clean"] else "NOT silent without a fault"
    console.print(f"\n{found} of {total} faults found, {clean} · {verdict.duration_s:.0f} s")
    console.print(f"report: {settings.reports / verdict.session / 'verdict.json'}")
