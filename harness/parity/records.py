"""Compares two streams of records: events, metrics.

Records are matched by name and step, then in order. The sequence of the matched
ones is compared where order is promised; their fields are compared by path;
what has no counterpart is missing or extra. A line that does not parse differs
from everything but the very same line.
"""

from __future__ import annotations

import bisect
import marshal
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from harness.model.evidence import Record
from harness.parity.alignment import align
from harness.parity.delta import Delta, Kind, Order, shorten, show
from harness.parity.tokens import is_token
from harness.parity.values import Place, compare_values, segment
from harness.parity.vocabulary import name_of, step_of

__all__ = ["Matching", "Stream", "compare_records", "general_name", "match_records"]

Identity = tuple[str, str | None]
UNPARSABLE = "<unparsable>"
ALIKE_AT_ONCE = 256
_STEP_IN_NAME = re.compile(r"step_(?P<step>.+)_(?P<what>[a-z]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """Which record stands for which.

    Attributes:
        pairs: indexes of the local and the remote record, by local index.
        missing: indexes of local records without a counterpart.
        extra: indexes of remote records without a counterpart.
    """

    pairs: tuple[tuple[int, int], ...]
    missing: tuple[int, ...]
    extra: tuple[int, ...]


class Stream:
    """One side's records, with the name, the step and the occurrence of each.

    Args:
        label: what the stream is called in paths: "events" or "metrics".
        records: the records, normalised.
        steps: the steps of the pipeline, to keep their names out of general paths.
        start: the first record that is compared; all before it have their counterpart.
        stop: the first of those at the end that have theirs; None for none.
    """

    def __init__(
        self,
        label: str,
        records: Sequence[Record],
        steps: Collection[str],
        *,
        start: int = 0,
        stop: int | None = None,
    ) -> None:
        self.label = label
        self.records = records
        self.steps = steps
        self.compared = range(start, len(records) if stop is None else stop)
        self.names = [
            UNPARSABLE if record.raw is not None else name_of(record) for record in records
        ]
        self.step = [
            step_of(record.fields) or step_in(name, steps)
            for record, name in zip(records, self.names, strict=True)
        ]
        seen: Counter[Identity] = Counter(zip(self.names[:start], self.step[:start], strict=True))
        self._occurrence: dict[int, int] = {}
        for index in self.compared:
            identity = (self.names[index], self.step[index])
            self._occurrence[index] = seen[identity]
            seen[identity] += 1

    def place(self, index: int) -> Place:
        """Where the record stands."""
        name, step = self.names[index], self.step[index]
        exact = self.records[index].raw if name == UNPARSABLE else step
        return Place(
            path=f"{self.label}/{segment(general_name(name, self.steps))}",
            site=f"{self.label}/{segment(name)}[{exact or ''}]#{self._occurrence[index]}",
            step=step,
            position=index,
        )

    def before(self, index: int | None) -> str:
        """The name of a record; of the last that is not compared for None."""
        if index is None and self.compared.start:
            index = self.compared.start - 1
        return "the start" if index is None else self.names[index]

    def told(self, index: int) -> str:
        """The record in few words: without what only stands for a volatile value."""
        record = self.records[index]
        if record.raw is not None:
            return f"line {record.line}: {shorten(record.raw)}"
        telling = {
            name: value
            for name, value in record.fields.items()
            if not (isinstance(value, str) and is_token(value))
        }
        return show(telling)


def compare_records(
    local: Sequence[Record] | None,
    remote: Sequence[Record] | None,
    label: str,
    *,
    order: Order = Order.PROMISED,
    steps: Collection[str] = (),
) -> Iterator[Delta]:
    """Where two streams disagree.

    Order: of records as `order` says. Tolerance: none; fields are compared as by
    `compare_values`, after volatile values have become tokens. A line that does not parse
    is a difference.

    Args:
        local: the local records, normalised; None where the file is missing.
        remote: the same of the remote side.
        label: what the stream is called in paths: "events" or "metrics".
        order: whether the sequence counts.
        steps: the steps of the pipeline, to keep their names out of general paths.
    """
    if local is None or remote is None or bool(local) != bool(remote):
        yield from _whole(local, remote, Place(path=label, site=label))
        return
    start, alike_at_end = _alike(local, remote)
    if start == len(local) == len(remote):
        return
    mine, theirs = (
        Stream(label, records, steps, start=start, stop=len(records) - alike_at_end)
        for records in (local, remote)
    )
    matching = match_records(mine, theirs)
    for at in matching.missing:
        kind = Kind.UNPARSABLE if local[at].raw is not None else Kind.MISSING
        yield mine.place(at).delta(kind, mine.told(at))
    for to in matching.extra:
        kind = Kind.UNPARSABLE if remote[to].raw is not None else Kind.EXTRA
        yield theirs.place(to).delta(kind, None, theirs.told(to))
    if order is Order.PROMISED:
        yield from _sequence(mine, theirs, matching)
    for at, to in matching.pairs:
        yield from _fields(mine, at, theirs, to)


def _alike(local: Sequence[Record], remote: Sequence[Record]) -> tuple[int, int]:
    """How many records are the very same at the beginning, and how many at the end."""
    shorter = min(len(local), len(remote))
    start = _alike_from(local, remote, shorter)
    if start == len(local) == len(remote):
        return start, 0
    return start, _alike_from(_Reversed(local), _Reversed(remote), shorter - start)


class _Reversed:
    """A sequence from its end, of which only slices are asked for."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = records

    def __getitem__(self, piece: slice) -> Sequence[Record]:
        size = len(self._records)
        return self._records[size - piece.stop : size - piece.start][::-1]


def _alike_from(
    local: Sequence[Record] | _Reversed, remote: Sequence[Record] | _Reversed, limit: int
) -> int:
    """How many of the first `limit` records are the very same on both sides.

    Marshalled they are told apart as strictly as field by field: 1 is not 1.0 and not
    true, -0.0 is not 0.0. That some count as different that are not (another order of
    keys) only sends them the long way.
    """
    done, step = 0, ALIKE_AT_ONCE
    while done < limit:
        end = min(done + step, limit)
        mine, theirs = _marshalled(local[done:end]), _marshalled(remote[done:end])
        if mine is not None and mine == theirs:
            done = end
        elif step > 1:
            step = 1  # the one that differs is among these
            limit = end
        else:
            break
    return done


def _marshalled(records: Sequence[Record]) -> bytes | None:
    try:
        # Version 0 writes no references, which depend on which objects are shared.
        return marshal.dumps([(record.raw, record.fields) for record in records], 0)
    except ValueError:  # nested too deeply
        return None


def match_records(local: Stream, remote: Stream) -> Matching:
    """Finds each record's counterpart: same name and step, in order, equal ones first."""
    mine, theirs = _by_identity(local, remote)
    pairs: list[tuple[int, int]] = []
    missing: list[int] = []
    extra: list[int] = []
    for identity in {**mine, **theirs}:
        left, right = mine.get(identity, []), theirs.get(identity, [])
        keys = _keys([local.records[i] for i in left], [remote.records[i] for i in right])
        for at, to in align(*keys):
            if at is None and to is not None:
                extra.append(right[to])
            elif to is None and at is not None:
                missing.append(left[at])
            elif at is not None and to is not None:
                pairs.append((left[at], right[to]))
    return Matching(
        pairs=tuple(sorted(pairs)), missing=tuple(sorted(missing)), extra=tuple(sorted(extra))
    )


def general_name(name: str, steps: Collection[str]) -> str:
    """A name without the step that may stand in it: `step_load_duration` is about any step."""
    step = step_in(name, steps)
    return name if step is None else name.replace(f"_{step}_", "_<step>_", 1)


def step_in(name: str, steps: Collection[str]) -> str | None:
    """The step that a name like `step_load_duration` speaks of."""
    match = _STEP_IN_NAME.fullmatch(name)
    return match["step"] if match and match["step"] in steps else None


def _whole(
    local: Sequence[Record] | None, remote: Sequence[Record] | None, place: Place
) -> Iterator[Delta]:
    """A stream that one side lacks, or has empty, is one difference and not one for each record."""
    mine, theirs = _size(local), _size(remote)
    if mine != theirs:
        shape = "empty" if local is not None and remote is not None else ""
        yield place.delta(Kind.MISSING if local else Kind.EXTRA, mine, theirs, shape=shape)


def _size(records: Sequence[Record] | None) -> str:
    return "no file" if records is None else f"{len(records)} records"


def _fields(mine: Stream, at: int, theirs: Stream, to: int) -> Iterator[Delta]:
    if mine.records[at].raw != theirs.records[to].raw:
        yield mine.place(at).delta(Kind.UNPARSABLE, mine.told(at), theirs.told(to))
        return
    local, remote = dict(mine.records[at].fields), dict(theirs.records[to].fields)
    # Unlike ==, repr tells 1 from 1.0 and from True, and NaN is NaN; it is the quick way.
    if repr(local) != repr(remote):
        yield from compare_values(local, remote, mine.place(at).child("fields"))


def _by_identity(
    local: Stream, remote: Stream
) -> tuple[dict[Identity, list[int]], dict[Identity, list[int]]]:
    """Indexes by name and step; by name alone where a side never tells the step of that name."""
    told = [
        {name for name, step in zip(side.names, side.step, strict=True) if step is not None}
        for side in (local, remote)
    ]
    steppable = told[0] & told[1]
    groups: list[defaultdict[Identity, list[int]]] = []
    for side in (local, remote):
        group: defaultdict[Identity, list[int]] = defaultdict(list)
        for index in side.compared:
            name, step = side.names[index], side.step[index]
            group[name, step if name in steppable else None].append(index)
        groups.append(group)
    return dict(groups[0]), dict(groups[1])


def _keys(left: Sequence[Record], right: Sequence[Record]) -> tuple[list[str], list[str]]:
    """What makes two records of one name equal: the fields that all of them have."""
    everyone = [*left, *right]
    common = set(everyone[0].fields)
    for record in everyone:
        if not common <= record.fields.keys():
            common &= record.fields.keys()
    names = sorted(common)

    def key(record: Record) -> str:
        return repr((record.raw, [record.fields[name] for name in names]))

    return [key(record) for record in left], [key(record) for record in right]


def _sequence(mine: Stream, theirs: Stream, matching: Matching) -> Iterator[Delta]:
    targets = [to for _, to in matching.pairs]
    kept = set(_longest_rising(targets))
    if len(kept) == len(targets):
        return
    ranked = sorted(targets)
    for rank, (at, to) in enumerate(matching.pairs):
        if rank in kept:
            continue
        there = bisect.bisect_left(ranked, to)
        before_here = mine.before(matching.pairs[rank - 1][0] if rank else None)
        before_there = theirs.before(ranked[there - 1] if there else None)
        yield mine.place(at).delta(Kind.ORDER, f"after {before_here}", f"after {before_there}")


def _longest_rising(numbers: Sequence[int]) -> list[int]:
    """Indexes of a longest rising subsequence: what stands in order; the rest was moved."""
    tails: list[int] = []
    ends: list[int] = []
    previous: list[int] = []
    for index, number in enumerate(numbers):
        length = bisect.bisect_left(ends, number)
        previous.append(tails[length - 1] if length else -1)
        tails[length : length + 1] = [index]
        ends[length : length + 1] = [number]
    rising: list[int] = []
    index = tails[-1] if tails else -1
    while index >= 0:
        rising.append(index)
        index = previous[index]
    return rising[::-1]
