"""Learns from runs of one side what differs from run to run, place by place.

Noise hides a remote value only where it is what was seen: another value of the
same type at the very same place. A value that is missing there, or of another
type, is a difference all the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from harness.parity.comparison import compare_evidence
from harness.parity.delta import Delta, Kind
from harness.parity.measured import QUIET, MeasuredNoise
from harness.parity.normalise import NormalisedEvidence

__all__ = ["Noise", "learn", "learn_remote"]

T = TypeVar("T")

STREAMS = ("events", "metrics", "log")
EMPTY_TEXT = '""'
_TURNED = {Kind.MISSING: Kind.EXTRA, Kind.EXTRA: Kind.MISSING}


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """What runs of one side disagree on.

    Attributes:
        deltas: the disagreements, for the report.
        measured: those that the comparers themselves leave out.
    """

    deltas: tuple[Delta, ...] = ()
    measured: MeasuredNoise = QUIET
    _kinds: dict[tuple[str, Kind], Delta] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        kinds = {(delta.site, delta.kind): delta for delta in self.deltas}
        object.__setattr__(self, "_kinds", kinds)

    def covers(self, delta: Delta) -> bool:
        """Whether the disagreement is noise: seen at this place, and in this way."""
        known = self._kinds.get((delta.site, delta.kind))
        if known is None or delta.lines:
            return False
        emptied = delta.remote == EMPTY_TEXT and EMPTY_TEXT not in {known.local, known.remote}
        return not emptied

    def subtract(self, deltas: Iterable[Delta]) -> tuple[Delta, ...]:
        """What is left of the disagreements of two sides without the noise."""
        return tuple(delta for delta in deltas if not self.covers(delta))

    def with_other(self, other: Noise) -> Noise:
        """What either of them knows."""
        mine, theirs = self.measured, other.measured
        return Noise(
            deltas=(*self.deltas, *other.deltas),
            measured=MeasuredNoise(
                columns=_joined(mine.columns, theirs.columns),
                lines=_joined(mine.lines, theirs.lines),
                remote_lines=_joined(mine.remote_lines, theirs.remote_lines),
                unordered=mine.unordered | theirs.unordered,
            ),
        )


def learn_remote(run: NormalisedEvidence, others: Sequence[NormalisedEvidence]) -> Noise:
    """What the remote run that is compared and further runs of that side disagree on.

    What the compared run lacks, or has beyond the others, is turned: a comparison with
    the local side sees the remote run second.

    Raises:
        BrokenError: if a file of the evidence cannot be read.
    """
    noise = Noise()
    for other in others:
        seen = learn(run, other)
        turned = tuple(
            replace(
                delta,
                kind=_TURNED.get(delta.kind, delta.kind),
                local=delta.remote,
                remote=delta.local,
            )
            for delta in seen.deltas
        )
        measured = replace(seen.measured, lines={}, remote_lines=seen.measured.lines)
        noise = noise.with_other(Noise(deltas=turned, measured=measured))
    return noise


def learn(first: NormalisedEvidence, second: NormalisedEvidence) -> Noise:
    """What two runs of one side disagree on.

    Raises:
        BrokenError: if a file of the evidence cannot be read.
    """
    deltas = compare_evidence(first, second)
    columns: defaultdict[str, set[str]] = defaultdict(set)
    lines: defaultdict[str, set[int]] = defaultdict(set)
    unordered: set[str] = set()
    for delta in deltas:
        stem, _, last = delta.site.rpartition("/")
        if delta.kind is Kind.ORDER:
            stream = delta.site.split("/", 1)[0]
            unordered.add(stream if stream in STREAMS else delta.site)
        elif delta.lines:
            lines[delta.site].update(delta.lines)
        elif stem.endswith("/columns") and delta.kind in {Kind.VALUE, Kind.TYPE}:
            columns[stem].add(last.replace("~1", "/").replace("~0", "~"))
    measured = MeasuredNoise(
        columns={site: frozenset(names) for site, names in columns.items()},
        lines={site: frozenset(numbers) for site, numbers in lines.items()},
        unordered=frozenset(unordered),
    )
    return Noise(deltas=deltas, measured=measured)


def _joined(
    mine: Mapping[str, frozenset[T]], theirs: Mapping[str, frozenset[T]]
) -> dict[str, frozenset[T]]:
    nothing: frozenset[T] = frozenset()
    return {
        site: mine.get(site, nothing) | theirs.get(site, nothing)
        for site in mine.keys() | theirs.keys()
    }
