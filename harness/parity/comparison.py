"""Compares two runs whole: every comparer, in the order of causes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.model.evidence import FileRole
from harness.model.run import Json
from harness.parity.delta import Delta, Kind, Order
from harness.parity.files import compare_files
from harness.parity.measured import QUIET, MeasuredNoise
from harness.parity.normalise import NormalisedEvidence
from harness.parity.outcome import compare_results
from harness.parity.records import compare_records
from harness.parity.values import Place, compare_values
from harness.parity.vocabulary import steps_of

__all__ = ["compare_evidence"]


def compare_evidence(
    local: NormalisedEvidence,
    remote: NormalisedEvidence,
    *,
    noise: MeasuredNoise = QUIET,
) -> tuple[Delta, ...]:
    """Everything on which two runs disagree.

    Args:
        local: the local side, normalised.
        remote: the remote side, normalised.
        noise: what is known to differ from run to run; the sequence of a stream
            counts unless it is among it.

    Raises:
        BrokenError: if a file of the evidence cannot be read.
    """
    steps = steps_of(local.evidence, remote.evidence)
    mine, theirs = local.evidence, remote.evidence
    return (
        *compare_results(mine, theirs, noise=noise),
        *_status(local, remote),
        *compare_files(local, remote, steps=steps, noise=noise),
        *compare_records(
            mine.events, theirs.events, "events", order=_order("events", noise), steps=steps
        ),
        *compare_records(
            mine.metrics, theirs.metrics, "metrics", order=_order("metrics", noise), steps=steps
        ),
        *compare_records(mine.log, theirs.log, "log", order=_order("log", noise), steps=steps),
        *_wire(mine.wire, theirs.wire),
    )


def _order(stream: str, noise: MeasuredNoise) -> Order:
    return Order.ANY if stream in noise.unordered else Order.PROMISED


def _status(local: NormalisedEvidence, remote: NormalisedEvidence) -> Iterator[Delta]:
    place = Place(path="status", site="status")
    mine, theirs = local.evidence.status, remote.evidence.status
    if mine is not None and theirs is not None:
        yield from compare_values(dict(mine), dict(theirs), place)
    elif mine is not None:
        kind = Kind.UNPARSABLE if _has_status_file(remote) else Kind.MISSING
        yield place.delta(kind, f"{len(mine)} fields", _why(remote))
    elif theirs is not None:
        kind = Kind.UNPARSABLE if _has_status_file(local) else Kind.EXTRA
        yield place.delta(kind, _why(local), f"{len(theirs)} fields")


def _wire(mine: Mapping[str, Json] | None, theirs: Mapping[str, Json] | None) -> Iterator[Delta]:
    """What the steps were given; nothing is said where a side was not seen being given it."""
    if mine is not None and theirs is not None:
        yield from compare_values(dict(mine), dict(theirs), Place(path="wire", site="wire"))


def _has_status_file(side: NormalisedEvidence) -> bool:
    return any(file.role is FileRole.STATUS for file in side.evidence.files)


def _why(side: NormalisedEvidence) -> str:
    return "a file that is not a JSON object" if _has_status_file(side) else "no file"
