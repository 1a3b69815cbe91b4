"""`python -m harness.emulator serve …`: the emulator without the rest of the command line."""

from __future__ import annotations

import sys

import click
from typer.main import get_command

from harness.emulator.command import app
from harness.errors import ExitCode, HarnessError


def main() -> int:
    """Runs the command; an error becomes three lines and its exit code."""
    try:
        get_command(app).main(prog_name="python -m harness.emulator", standalone_mode=False)
    except HarnessError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the one place that prints errors
        return int(error.exit_code)
    except click.ClickException as error:
        error.show()
        return int(ExitCode.USAGE)
    except (KeyboardInterrupt, click.Abort):
        return int(ExitCode.INTERRUPTED)
    return int(ExitCode.PASSED)


if __name__ == "__main__":
    sys.exit(main())
