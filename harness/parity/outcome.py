"""Compares what the product says of its run: outcome, exit code, error, stdout and stderr."""

from __future__ import annotations

from collections.abc import Iterator

from harness.model.run import ExecResult
from harness.parity.delta import Delta, Kind, shape_of, shorten
from harness.parity.measured import QUIET, MeasuredNoise
from harness.parity.text import compare_text
from harness.parity.values import Place, compare_values

__all__ = ["compare_results", "outcome_of"]


def compare_results(
    local: ExecResult, remote: ExecResult, *, noise: MeasuredNoise = QUIET
) -> Iterator[Delta]:
    """Where two results disagree. Durations are not compared.

    The order of causes is kept: outcome, exit code, error, step results, streams.
    A side that failed alone carries its error in the shape of the outcome, so
    that two failures with different causes are two differences.
    """
    yield from _outcome(local, remote)
    yield from compare_values(local.exit_code, remote.exit_code, _place("exit_code"))
    yield from compare_values(local.error_type, remote.error_type, _place("error/type"))
    yield from _error_text(local, remote)
    yield from compare_values(local.step_results, remote.step_results, _place("step_results"))
    for name, mine, theirs in (
        ("stdout", local.stdout, remote.stdout),
        ("stderr", local.stderr, remote.stderr),
    ):
        yield from compare_text(
            mine, theirs, _place(name), ignore=noise.lines.get(f"{name}/lines", ())
        )


def outcome_of(result: ExecResult) -> str:
    """One word for how a run ended: succeeded, failed, timed out or crashed."""
    if result.timed_out:
        return "timed out"
    if result.crashed:
        return "crashed"
    return "succeeded" if result.success else "failed"


def _outcome(local: ExecResult, remote: ExecResult) -> Iterator[Delta]:
    mine, theirs = outcome_of(local), outcome_of(remote)
    if mine == theirs:
        return
    shape = f"{mine}→{theirs}"
    if local.success != remote.success:
        failed = remote if local.success else local
        shape += f" {shape_of(failed.error_message)}"
    yield _place("outcome").delta(
        Kind.VALUE, _told(local, mine), _told(remote, theirs), shape=shape
    )


def _told(result: ExecResult, word: str) -> str:
    return shorten(f"{word}: {result.error_message}") if result.error_message else word


def _error_text(local: ExecResult, remote: ExecResult) -> Iterator[Delta]:
    """A text where the other side has none is a missing or an extra text, not another type."""
    place = _place("error/text")
    mine, theirs = local.error_message, remote.error_message
    if mine is not None and theirs is not None:
        yield from compare_values(mine, theirs, place)
    elif mine is not None:
        yield place.delta(Kind.MISSING, shorten(mine), shape=shape_of(mine))
    elif theirs is not None:
        yield place.delta(Kind.EXTRA, None, shorten(theirs), shape=shape_of(theirs))


def _place(path: str) -> Place:
    return Place(path=path, site=path)
