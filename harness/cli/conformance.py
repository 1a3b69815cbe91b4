"""`harness conformance …`: E2B's own public suites against the emulator."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from harness.errors import UsageError
from harness.model.outcome import Outcome
from harness.settings import Settings
from harness.workflow.conformance import Conformance, ConformancePlan, run_conformance
from harness.workflow.conformance_javascript import run_javascript
from harness.workflow.conformance_suite import CODE_INTERPRETER, PYTHON_SDK
from harness.workflow.figures import note_conformance

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _noun() -> None:
    """Does the emulator pass E2B's own public suite?"""


@app.command(
    name="run", context_settings={"allow_extra_args": True, "ignore_unknown_options": True}
)
def run_command(
    context: typer.Context,
    checkout: Annotated[
        Path,
        typer.Argument(
            help="A checkout or repository of e2b-dev/E2B, or, with --interpreter, of "
            "e2b-dev/code-interpreter."
        ),
    ],
    *,
    interpreter: Annotated[
        bool, typer.Option("--interpreter", help="Run the code interpreter's own suite.")
    ] = False,
    ref: Annotated[
        str | None, typer.Option(help="The tag or commit whose tests are taken.")
    ] = None,
    sdk: Annotated[
        str | None, typer.Option(help="The SDK's version, or newest; the tests' own by default.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, max=64, help="Processes that run tests: 16, or 4 that run code, by default."
        ),
    ] = None,
    runs: Annotated[
        int, typer.Option(min=1, max=100, help="How often; only what passes each time counts.")
    ] = 1,
    no_root: Annotated[
        bool, typer.Option("--no-root", help="Run the emulator as an ordinary user.")
    ] = False,
    emulator_option: Annotated[
        list[str] | None, typer.Option(help="A word for `harness emulator serve`; repeatable.")
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(help="Note what a whole run measured in this JSON file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
) -> None:
    """Runs the suite; further words select tests, as pytest does, relative to the suite."""
    settings = Settings.load()
    if figures is not None and context.args:
        raise UsageError(
            f"--figures was asked for, and a part of the suite: {' '.join(context.args)}",
            expected="the figures of a whole suite",
            next_step="leave the further words out, or --figures",
        )
    plan = ConformancePlan(
        checkout=checkout,
        origin=CODE_INTERPRETER if interpreter else PYTHON_SDK,
        ref=ref,
        sdk=sdk,
        workers=workers,
        runs=runs,
        no_root=no_root,
        arguments=tuple(context.args),
        emulator_arguments=tuple(emulator_option or ()),
    )
    found = run_conformance(plan, settings, say=_say)
    if figures is not None and not found.verdict.interrupted:
        note_conformance(figures, found)
    _end(found, settings, as_json=as_json)


@app.command("javascript")
def javascript_command(
    checkout: Annotated[Path, typer.Argument(help="A checkout or repository of e2b-dev/E2B.")],
    *,
    ref: Annotated[
        str | None, typer.Option(help="The tag or commit whose suite and sources are taken.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Processes that run tests; 4 by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
) -> None:
    """Runs the suite of E2B's JavaScript SDK; needs Node.js 20 or newer, with npm."""
    settings = Settings.load()
    _end(
        run_javascript(checkout, settings, ref=ref, workers=workers, say=_say),
        settings,
        as_json=as_json,
    )


def _end(found: Conformance, settings: Settings, *, as_json: bool) -> None:
    if as_json:
        json.dump(found.verdict.to_json(), sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        _print(found, settings)
    raise typer.Exit(found.verdict.exit_code)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _print(found: Conformance, settings: Settings) -> None:
    console = Console(highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("area")
    for heading in ("passed", "feasible", "total"):
        table.add_column(heading, justify="right")
    for row in found.figures:
        table.add_row(row.area, str(row.passed), str(row.feasible), str(row.total))
    sums = [
        sum(getattr(row, name) for row in found.figures) for name in ("passed", "feasible", "total")
    ]
    table.add_row("all", *map(str, sums), style="bold")
    console.print(table)
    details = found.verdict.details
    whose = "an ordinary user" if details["ordinary_user"] else "root"
    console.print(
        f"suite {found.suite_version} of {details['repository']}, SDK {found.sdk_version}, "
        f"{details['workers']} workers, as {whose}; "
        f"{found.vacuous} tests pass without a server and are not counted"
    )
    for number, run in enumerate(found.runs, 1):
        console.print(f"run {number}: {run.passed} of {run.feasible} in {run.duration_s:.0f} s")
    if found.twins:
        console.print(
            f"{found.twins} tests that only deny fail where nothing is denied, as they must"
        )
    for check in found.verdict.checks:
        if check.outcome in {Outcome.FAILED, Outcome.BROKEN}:
            first = check.reason.partition("\n")[0]
            console.print(f"[red]{check.outcome}[/] {check.name}: ", end="", markup=True)
            console.print(first, markup=False)
        elif check.reason.startswith("left out, but passes"):
            console.print(f"{check.name}: {check.reason}", markup=False)
    console.print(f"{found.verdict.outcome}; reports: {settings.reports / found.verdict.session}")
