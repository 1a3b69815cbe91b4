"""The four outcomes of anything that is checked, and how they add up."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from harness.errors import ExitCode

__all__ = ["Outcome", "exit_code_of", "worst"]


class Outcome(StrEnum):
    """What came of a check. NOT_RUN is never shown as a pass."""

    PASSED = "passed"
    FAILED = "failed"
    BROKEN = "broken"
    NOT_RUN = "not_run"


_EXIT = {
    Outcome.PASSED: ExitCode.PASSED,
    Outcome.FAILED: ExitCode.FAILED,
    Outcome.BROKEN: ExitCode.BROKEN,
    Outcome.NOT_RUN: ExitCode.NOT_RUN,
}


def exit_code_of(outcome: Outcome) -> ExitCode:
    """The exit code that says this outcome."""
    return _EXIT[outcome]


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The outcome of a whole: broken before failed before passed.

    A whole in which nothing ran is NOT_RUN; one without any part is BROKEN,
    because a check that inspected nothing proves nothing.
    """
    seen = set(outcomes)
    for outcome in (Outcome.BROKEN, Outcome.FAILED, Outcome.PASSED, Outcome.NOT_RUN):
        if outcome in seen:
            return outcome
    return Outcome.BROKEN
