"""`harness smoke …`: does the product work in a sandbox at all?"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Annotated

import typer

from harness.cli.verdicts import print_verdicts
from harness.settings import Settings
from harness.workflow.smoke import LiveEndpoint, Part, exit_code, run_smoke

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _noun() -> None:
    """Does the product work in a sandbox at all?"""


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run(
    context: typer.Context,
    *,
    live: Annotated[
        bool, typer.Option("--live", help="Run the live part too; the same as E2B_LIVE_TESTS=1.")
    ] = False,
    only: Annotated[Part | None, typer.Option(help="Run just this part.")] = None,
    live_endpoint: Annotated[
        LiveEndpoint, typer.Option(help="What stands at the far end of the live part.")
    ] = LiveEndpoint.SERVICE,
    require: Annotated[
        bool, typer.Option("--e2b-require", help="A live part that cannot run is a failure.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdicts as JSON.")] = False,
) -> None:
    """Runs the smoke tests; arguments that are not listed here go on to pytest."""
    settings = Settings.load()
    wants_live = live or settings.live_tests or live_endpoint is LiveEndpoint.EMULATOR
    parts = [only] if only else [Part.MOCKED, *([Part.LIVE] if wants_live else [])]
    if live:
        settings = replace(settings, live_tests=True)
    verdicts = run_smoke(
        settings,
        parts=parts,
        live_endpoint=live_endpoint,
        require=require,
        arguments=context.args,
    )
    print_verdicts(verdicts, settings, as_json=as_json)
    if not wants_live and only is None:
        sys.stderr.write("live part: not asked for (add `--live`, or set E2B_LIVE_TESTS=1)\n")
    raise typer.Exit(exit_code(verdicts))
