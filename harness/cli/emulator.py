"""`harness emulator …`: `serve` is in `harness.emulator.command`; here what asks about it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.emulator_remote import add_commands
from harness.emulator.command import app

__all__ = ["app"]

add_commands(app)

FIGURES = Path("docs/reference/emulator-figures.json")


@app.command("coverage")
def coverage_command(
    *,
    figures: Annotated[
        Path, typer.Option(help="The JSON file with the measured figures.")
    ] = FIGURES,
) -> None:
    """Prints the coverage page: each route as full, partial or refused, with its source."""
    # Imported here: `harness emulator serve` has 400 ms to be ready.
    from harness.emulator.coverage import examine, page  # noqa: PLC0415

    sys.stdout.write(page(examine(), figures))
