"""The command line: `harness <noun> <verb>`.

Each noun is a module of this package with a typer application; they parse, call
one function and print. Here they are put together, an error becomes three lines
and an exit code, and signals become one orderly end.
"""

from __future__ import annotations

import errno
import importlib
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType

from typer.exceptions import Abort, TyperException

from harness import __version__
from harness.errors import BrokenError, ExitCode, HarnessError, InterruptedRunError, UsageError

__all__ = ["NOUNS", "main"]

NOUNS = {
    "smoke": "does the product work in a sandbox at all?",
    "parity": "does it do the same there as here?",
    "orphans": "does it leave sandboxes running?",
    "secrets": "does a secret get out?",
    "report": "what is the verdict?",
    "emulator": "E2B on loopback, with real sandboxes",
    "gateway": "stands before the real E2B: tags, ledger, files before a kill",
    "suite": "pytest, or plain checks, as a session with a verdict",
    "conformance": "does the emulator pass E2B's own public suite?",
    "versions": "which versions of E2B's SDKs does it serve?",
    "doctor": "is this machine ready, and are the settings?",
}

_ENDING = (signal.SIGINT, signal.SIGTERM)
_AGAIN_S = 0.01


class _Interruption:
    """Turns the first SIGINT or SIGTERM into KeyboardInterrupt and waits out the others.

    The first one unwinds the stack, so that every owner closes what it opened; a
    second one during that time would cut the cleaning short and leave sandboxes
    running.

    Python drops an exception that is raised where it has no caller to hand it to (in
    a finalizer, in a hook after `fork`); an interruption that was dropped there is
    raised again a moment later, or the run would go on as if nobody had asked.
    """

    def __init__(self) -> None:
        self.seen = False

    def install(self) -> None:
        """Takes over SIGINT, SIGTERM, the alarm that repeats them and the unraisable exceptions."""
        for signum in _ENDING:
            signal.signal(signum, self)
        signal.signal(signal.SIGALRM, self._again)
        sys.unraisablehook = self._dropped

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        del frame
        if self.seen:
            sys.stderr.write("cleaning up, please wait\n")
            return
        self.seen = True
        raise KeyboardInterrupt(signal.Signals(signum).name)

    def _dropped(self, unraisable: sys.UnraisableHookArgs) -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
        else:
            sys.__unraisablehook__(unraisable)

    def _again(self, signum: int, frame: FrameType | None) -> None:
        del signum, frame
        raise KeyboardInterrupt


def main() -> None:
    """Runs the command line and ends the process with its exit code."""
    _Interruption().install()
    code = _run(sys.argv[1:])
    for signum in _ENDING:
        # The interpreter's own end restores the default, which would replace the exit code.
        signal.signal(signum, signal.SIG_IGN)
    sys.exit(code)


def _run(words: Sequence[str]) -> int:
    try:
        code = _dispatch(words)
    except HarnessError as error:
        return _end(error)
    except (Abort, KeyboardInterrupt):
        code = ExitCode.INTERRUPTED
    except TyperException as error:
        return _end(_usage_error(error, words))
    except OSError as error:
        return _end(_system_error(error))
    except Exception as error:  # noqa: BLE001 - the outer border: a fault of ours is BROKEN, not a failed test
        traceback.print_exc()
        return _end(_own_fault(error))
    if code == ExitCode.INTERRUPTED:
        return _end(_interrupted())
    return int(code)


def _dispatch(words: Sequence[str]) -> int:
    """Imports only the noun that is used: `harness emulator serve` has 400 ms to be ready."""
    noun = words[0] if words else "--help"
    if noun in {"-h", "--help"}:
        sys.stdout.write(_help())
        return ExitCode.PASSED if words else ExitCode.USAGE
    if noun == "--version":
        sys.stdout.write(f"harness {__version__}\n")
        return ExitCode.PASSED
    if noun not in NOUNS:
        raise UsageError(
            f"unknown word: {noun!r}",
            expected=f"one of {', '.join(NOUNS)}",
            next_step="harness --help",
        )
    application = importlib.import_module(f"harness.cli.{noun}").app
    result = application(args=list(words[1:]), prog_name=f"harness {noun}", standalone_mode=False)
    return result if isinstance(result, int) else ExitCode.PASSED


def _help() -> str:
    width = max(map(len, NOUNS)) + 2
    nouns = "".join(f"  {noun:{width}}{question}\n" for noun, question in NOUNS.items())
    return (
        "usage: harness NOUN VERB [OPTIONS]\n\n"
        "Test harness for code that runs in E2B sandboxes.\n\n"
        f"{nouns}\n"
        "harness NOUN --help lists the verbs; --version prints the version.\n"
    )


def _usage_error(error: TyperException, words: Sequence[str]) -> UsageError:
    describe = getattr(error, "format_message", None)
    context = getattr(error, "ctx", None)
    command = getattr(context, "command_path", None) or f"harness {words[0]}"
    return UsageError(
        describe() if describe else str(error),
        expected=f"what `{command} --help` lists",
        next_step=f"{command} --help",
    )


def _system_error(error: OSError) -> BrokenError:
    where = f": {error.filename}" if error.filename else ""
    next_step = {
        errno.ENOSPC: "free some space (`make clean` removes what runs made), then run again",
        errno.EROFS: "run in a folder that can be written to",
        errno.EACCES: "run in a folder that you may write to",
    }.get(error.errno or 0, "correct what the first line names, then run again")
    return BrokenError(
        f"{error.strerror or error}{where}",
        expected="files, folders and sockets of this machine to be usable",
        next_step=next_step,
    )


def _own_fault(error: Exception) -> BrokenError:
    return BrokenError(
        f"the harness failed: {type(error).__name__}: {error}",
        expected="every fault to be a verdict or a message",
        next_step="report it with the traceback above",
    )


def _interrupted() -> InterruptedRunError:
    return InterruptedRunError(
        "interrupted",
        expected="a run to its end; what it had started was ended first",
        next_step="run the command again",
    )


def _end(error: HarnessError) -> int:
    for line in error.lines():
        sys.stderr.write(f"{line}\n")
    return int(error.exit_code)
