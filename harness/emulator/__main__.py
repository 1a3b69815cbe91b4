"""`python -m harness.emulator serve …`: the emulator without the rest of the command line."""

from __future__ import annotations

import sys

from harness import starting
from harness.errors import ExitCode, HarnessError, UsageError

PROGRAM = "python -m harness.emulator"


def main() -> int:
    """Runs the command; an error becomes three lines and its exit code."""
    starting.begin()
    # Imported after the start was made cheap.
    from typer.exceptions import TyperException  # noqa: PLC0415

    from harness.emulator.command import app  # noqa: PLC0415

    try:
        app(prog_name=PROGRAM, standalone_mode=False)
    except TyperException as error:
        describe = getattr(error, "format_message", None)
        return _end(
            UsageError(
                describe() if describe else str(error),
                expected=f"what `{PROGRAM} serve --help` lists",
                next_step=f"{PROGRAM} serve --help",
            )
        )
    except HarnessError as error:
        return _end(error)
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
    return int(ExitCode.PASSED)


def _end(error: HarnessError) -> int:
    for line in error.lines():
        sys.stderr.write(f"{line}\n")
    return int(error.exit_code)


if __name__ == "__main__":
    sys.exit(main())
