"""How outcomes add up to a verdict and to an exit code."""

from __future__ import annotations

import pytest

from harness.clock import ManualClock
from harness.errors import ExitCode
from harness.model.outcome import Outcome, worst
from harness.model.verdict import Check, Verdict

P, F, B, N = Outcome.PASSED, Outcome.FAILED, Outcome.BROKEN, Outcome.NOT_RUN


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([P, P], P),
        ([P, F], F),
        ([F, B, P], B),
        ([P, N], P),
        ([N, N], N),
        ([], B),
    ],
)
def test_worst_of_a_whole(outcomes: list[Outcome], expected: Outcome) -> None:
    """Broken before failed before passed; nothing run is not run, nothing at all is broken."""
    assert worst(outcomes) is expected


def verdict(*outcomes: Outcome, leak: bool = False, interrupted: bool = False) -> Verdict:
    return Verdict(
        session="smoke-mocked",
        endpoint="emulator",
        started_at=ManualClock().now(),
        duration_s=1.25,
        checks=tuple(
            Check(name=f"check {n}", outcome=outcome, reason="because" if outcome is not P else "")
            for n, outcome in enumerate(outcomes)
        ),
        leak=leak,
        interrupted=interrupted,
        details={"n": 1},
    )


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (verdict(P), ExitCode.PASSED),
        (verdict(P, F), ExitCode.FAILED),
        (verdict(B), ExitCode.BROKEN),
        (verdict(N), ExitCode.NOT_RUN),
        (verdict(), ExitCode.BROKEN),
        (verdict(P, leak=True), ExitCode.LEAK),
        (verdict(F, interrupted=True), ExitCode.INTERRUPTED),
        (verdict(F, leak=True, interrupted=True), ExitCode.LEAK),
    ],
)
def test_exit_code_says_the_outcome(subject: Verdict, expected: ExitCode) -> None:
    """A leak outranks an interruption, and that a failure."""
    assert subject.exit_code is expected


def test_verdict_survives_json() -> None:
    """What is written to verdict.json is read back whole."""
    subject = verdict(P, F, N, leak=True)
    assert Verdict.from_json(subject.to_json()) == subject
