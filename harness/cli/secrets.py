"""`harness secrets …`: does a secret get out?"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from harness.cli.verdicts import print_verdicts
from harness.redaction.git_objects import ACCEPTED_HISTORY, accept_history
from harness.redaction.repository import BASELINE, write_baseline
from harness.reports.sarif import write_sarif
from harness.settings import Settings
from harness.workflow.secret_scan import SecretScan, leak_error, scan_secrets

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)
MAX_ROWS = 50


@app.callback()
def _noun() -> None:
    """Does a secret get out?"""


@app.command()
def scan(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Scan these instead of the repository and testing_env.", metavar="PATH"
        ),
    ] = None,
    *,
    live: Annotated[
        bool, typer.Option("--live", help="The real E2B_API_KEY must be among what is looked for.")
    ] = False,
    product: Annotated[
        bool,
        typer.Option(
            "--product/--no-product",
            help="Also run the product with canaries, offline, and scan what it does.",
        ),
    ] = False,
    sarif: Annotated[
        Path | None, typer.Option("--sarif", help="Write the findings there, as SARIF 2.1.0.")
    ] = None,
    history: Annotated[
        bool, typer.Option("--history", help="Scan every commit of the repository, too.")
    ] = False,
    staged: Annotated[
        bool, typer.Option("--staged", help="Scan what is staged for a commit, and nothing else.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
) -> None:
    """Scans the repository, then everything under testing_env; a leak ends with exit code 5."""
    settings = Settings.load()
    found = scan_secrets(
        settings, paths=paths or (), live=live, product=product, history=history, staged=staged
    )
    if sarif is not None:
        write_sarif(sarif, found.findings)
    if as_json:
        json.dump(found.verdict.to_json(), sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        _print(found, settings)
    if found.findings:
        raise leak_error(found)
    raise typer.Exit(found.verdict.exit_code)


@app.command()
def baseline(
    *,
    history: Annotated[
        bool,
        typer.Option(
            "--history", help="Also what they find in git's history, in .secrets.history."
        ),
    ] = False,
) -> None:
    """Accepts everything that the detectors find in the repository now, in .secrets.baseline."""
    settings = Settings.load()
    accepted = write_baseline(settings.root)
    sys.stdout.write(f"{BASELINE}: {accepted} accepted; look at each before you commit it\n")
    if history:
        accepted = accept_history(settings.root)
        sys.stdout.write(f"{ACCEPTED_HISTORY}: {accepted} accepted; look at each, too\n")


def _print(found: SecretScan, settings: Settings) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for finding in found.findings[:MAX_ROWS]:
        where = f"{finding.path}:{finding.line}" if finding.line else finding.path
        said = f"{where}: {finding.kind}, written as {finding.encoding} [{finding.digest}]"
        console.print(Text("leak", style="red"), Text(said))
    if len(found.findings) > MAX_ROWS:
        console.print(f"… and {len(found.findings) - MAX_ROWS} more in verdict.json")
    for note in found.notes:
        console.print(Text(f"note: {note}"))
    areas = tuple(check for check in found.verdict.checks if not check.location)
    print_verdicts([replace(found.verdict, checks=areas)], settings, as_json=False)
