"""Compares what the product says of its run: outcome, exit code, error, stdout and stderr."""

from __future__ import annotations

from collections.abc import Iterator

from harness.model.evidence import Evidence
from harness.model.run import ExecResult
from harness.parity.delta import Delta, Kind, shape_of, shorten
from harness.parity.measured import QUIET, MeasuredNoise
from harness.parity.text import compare_text
from harness.parity.values import Place, compare_values
from harness.parity.vocabulary import error_of

__all__ = ["compare_results", "outcome_of"]


def compare_results(
    local: Evidence, remote: Evidence, *, noise: MeasuredNoise = QUIET
) -> Iterator[Delta]:
    """Where the results of two runs disagree. Durations are not compared.

    The order of causes is kept: outcome, exit code, error, step results, streams.
    A side that failed alone carries its error in the shape of the outcome, so
    that two failures with different causes are two differences.
    """
    yield from _outcome(local, remote)
    mine, theirs = local.result, remote.result
    yield from compare_values(mine.exit_code, theirs.exit_code, _place("exit_code"))
    yield from compare_values(mine.error_type, theirs.error_type, _place("error/type"))
    yield from _error_text(mine.error_message, theirs.error_message)
    yield from _error_told(local, remote)
    yield from compare_values(mine.step_results, theirs.step_results, _place("step_results"))
    for name, here, there in (
        ("stdout", mine.stdout, theirs.stdout),
        ("stderr", mine.stderr, theirs.stderr),
    ):
        ignored, theirs_ignored = noise.lines_of(f"{name}/lines")
        yield from compare_text(
            here, there, _place(name), ignore=ignored, ignore_remote=theirs_ignored
        )


def outcome_of(result: ExecResult) -> str:
    """One word for how a run ended: succeeded, failed, timed out or crashed."""
    if result.timed_out:
        return "timed out"
    if result.crashed:
        return "crashed"
    return "succeeded" if result.success else "failed"


def _outcome(local: Evidence, remote: Evidence) -> Iterator[Delta]:
    mine, theirs = outcome_of(local.result), outcome_of(remote.result)
    if mine == theirs:
        return
    shape = f"{mine}→{theirs}"
    if local.result.success != remote.result.success:
        failed = remote if local.result.success else local
        shape += f" {shape_of(error_of(failed))}"
    yield _place("outcome").delta(
        Kind.VALUE, _told(local, mine), _told(remote, theirs), shape=shape
    )


def _told(side: Evidence, word: str) -> str:
    words = None if side.result.success else error_of(side)
    return shorten(f"{word}: {words}") if words else word


def _error_text(mine: str | None, theirs: str | None) -> Iterator[Delta]:
    """A text where the other side has none is a missing or an extra text, not another type."""
    place = _place("error/text")
    if mine is not None and theirs is not None:
        yield from compare_values(mine, theirs, place)
    elif mine is not None:
        yield place.delta(Kind.MISSING, shorten(mine), shape=shape_of(mine))
    elif theirs is not None:
        yield place.delta(Kind.EXTRA, None, shorten(theirs), shape=shape_of(theirs))


def _error_told(local: Evidence, remote: Evidence) -> Iterator[Delta]:
    """A failure of both sides that only one explains, be it in its result or in its events."""
    if local.result.success or remote.result.success:
        return
    mine, theirs = error_of(local), error_of(remote)
    if (mine is None) != (theirs is None):
        kind = Kind.EXTRA if mine is None else Kind.MISSING
        told = [None if words is None else shorten(words) for words in (mine, theirs)]
        yield _place("error/told").delta(kind, *told, shape=shape_of(mine or theirs))


def _place(path: str) -> Place:
    return Place(path=path, site=path)
