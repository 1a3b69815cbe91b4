"""`harness suite …`: pytest, or plain checks, as a session that ends in a verdict."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.verdicts import print_verdicts
from harness.settings import Settings
from harness.workflow.suite import PytestRun, run_pytest, run_steps

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)

Session = Annotated[str, typer.Option(help="The session's name, and the folder of its report.")]
Json = Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")]


@app.callback()
def _noun() -> None:
    """Pytest, or plain checks, as a session that ends in a verdict."""


@app.command(
    name="pytest", context_settings={"allow_extra_args": True, "ignore_unknown_options": True}
)
def pytest_command(context: typer.Context, *, session: Session, as_json: Json = False) -> None:
    """Runs pytest; arguments that are not listed here go on to it."""
    settings = Settings.load()
    run = PytestRun(session=session, endpoint="emulator", arguments=tuple(context.args))
    verdict = run_pytest(run, settings)
    print_verdicts([verdict], settings, as_json=as_json)
    raise typer.Exit(verdict.exit_code)


@app.command()
def steps(
    commands: Annotated[list[str], typer.Argument(help="Command lines, each quoted as one word.")],
    *,
    session: Session,
    as_json: Json = False,
) -> None:
    """Runs each command line, also after one failed."""
    settings = Settings.load()
    verdict = run_steps(session, commands, settings)
    print_verdicts([verdict], settings, as_json=as_json)
    raise typer.Exit(verdict.exit_code)
