"""The root of every error that the harness raises on purpose.

An error says three things: what happened (with the offending value), what was
expected, and what to do next. The command line prints them as three lines and
ends with the exit code that the error carries.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = [
    "BrokenError",
    "ExitCode",
    "HarnessError",
    "InterruptedRunError",
    "LeakError",
    "NotRunError",
    "UsageError",
]


class ExitCode(IntEnum):
    """Exit codes of every `harness` command; docs/reference/exit-codes.md explains each."""

    PASSED = 0
    FAILED = 1
    USAGE = 2
    NOT_RUN = 3
    BROKEN = 4
    LEAK = 5
    INTERRUPTED = 130


class HarnessError(Exception):
    """Something went wrong that a person can act on.

    Args:
        happened: what happened, with the offending value.
        expected: what was expected instead.
        next_step: what to do next, best as a command that can be pasted.
    """

    exit_code: ExitCode = ExitCode.BROKEN

    def __init__(self, happened: str, *, expected: str, next_step: str) -> None:
        super().__init__(happened)
        self.happened = happened
        self.expected = expected
        self.next_step = next_step

    def lines(self) -> tuple[str, str, str]:
        """What happened, what was expected, what to do next: one line each."""
        return (self.happened, f"expected: {self.expected}", f"next: {self.next_step}")

    def __str__(self) -> str:
        return "\n".join(self.lines())


class UsageError(HarnessError):
    """The caller's words or settings are off (exit code 2)."""

    exit_code = ExitCode.USAGE


class NotRunError(HarnessError):
    """Nothing could be run, for a reason that is not a fault (exit code 3)."""

    exit_code = ExitCode.NOT_RUN


class BrokenError(HarnessError):
    """The harness or its surroundings failed, so there is no verdict (exit code 4)."""

    exit_code = ExitCode.BROKEN


class LeakError(HarnessError):
    """A secret or a sandbox got away (exit code 5)."""

    exit_code = ExitCode.LEAK


class InterruptedRunError(HarnessError):
    """A person or a supervisor ended the run (exit code 130)."""

    exit_code = ExitCode.INTERRUPTED
