"""The command line: `harness <noun> <verb>`.

Each noun is a module of this package with a typer application; they parse, call
one function and print. Here they are put together, an error becomes three lines
and an exit code, and signals become one orderly end.
"""

from __future__ import annotations

import importlib
import signal
import sys
from types import FrameType

import click
import typer
from typer.main import get_command

from harness import __version__
from harness.errors import ExitCode, HarnessError

__all__ = ["main"]

_NOUNS = {
    "smoke": "does the product work in a sandbox at all?",
    "parity": "does it do the same there as here?",
    "orphans": "does it leave sandboxes running?",
    "secrets": "does a secret get out?",
    "report": "what is the verdict?",
    "emulator": "E2B on loopback, with real sandboxes",
    "gateway": "stands before the real E2B: tags, ledger, after-images",
    "suite": "run pytest or plain checks as a session with a verdict",
    "doctor": "is this machine ready, and are the settings?",
}


class _LazyNouns(click.Group):
    """Imports a noun only when it is used: `harness emulator serve` has 400 ms to be ready."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The nouns in the order in which a newcomer meets them."""
        del ctx
        return list(_NOUNS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The noun's own application."""
        del ctx
        if cmd_name not in _NOUNS:
            return None
        module = importlib.import_module(f"harness.cli.{cmd_name}")
        application: typer.Typer = module.app
        command = get_command(application)
        command.name = cmd_name
        command.help = _NOUNS[cmd_name]
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the nouns without importing them."""
        del ctx
        with formatter.section("Nouns"):
            formatter.write_dl(list(_NOUNS.items()))


@click.group(
    cls=_LazyNouns,
    help="Test harness for code that runs in E2B sandboxes. Every command has --help.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="harness")
def _root() -> None:
    """Holds the nouns together."""


class _Interruption:
    """Turns the first SIGINT or SIGTERM into KeyboardInterrupt and waits out the others.

    The first one unwinds the stack, so that every owner closes what it opened; a
    second one during that time would cut the cleaning short and leave sandboxes
    running.
    """

    def __init__(self) -> None:
        self.seen = False

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        del frame
        if self.seen:
            print("cleaning up, please wait", file=sys.stderr)  # noqa: T201 - the person at the keyboard waits for a word
            return
        self.seen = True
        raise KeyboardInterrupt(signal.Signals(signum).name)


def main() -> None:
    """Runs the command line and ends the process with its exit code."""
    interruption = _Interruption()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, interruption)
    sys.exit(_run())


def _run() -> int:
    try:
        result = _root.main(prog_name="harness", standalone_mode=False)
    except HarnessError as error:
        _say(*error.lines())
        return int(error.exit_code)
    except click.exceptions.Abort:
        _say("interrupted", "expected: to run to its end", "next: run the command again")
        return int(ExitCode.INTERRUPTED)
    except KeyboardInterrupt:
        _say("interrupted", "expected: to run to its end", "next: run the command again")
        return int(ExitCode.INTERRUPTED)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return int(ExitCode.USAGE)
    except click.ClickException as error:
        _say(
            error.format_message(),
            "expected: a command that `harness --help` lists, with its options",
            f"next: {_help_command(error)}",
        )
        return int(ExitCode.USAGE)
    return int(result) if isinstance(result, int) else int(ExitCode.PASSED)


def _help_command(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path if context else 'harness'} --help"


def _say(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr)  # noqa: T201 - the one place that prints errors
