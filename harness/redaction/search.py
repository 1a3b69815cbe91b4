"""One search for known values in bytes: as they are, cut in two, and in encodings of encodings.

The bytes are searched once with their line breaks taken out, which finds what
stands on one line and what a break cuts; positions are worked out for hits alone.
"""

from __future__ import annotations

import bisect
import functools
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from harness.redaction.known import Span
from harness.redaction.layers import LAYER_MARKS, MAX_DEPTH, Layer, layer_of
from harness.redaction.line_breaks import (
    BREAK_MARK,
    found_across_written_breaks,
    has_soft_breaks,
)
from harness.redaction.pattern_rules import ASSIGNED
from harness.redaction.ranges import Ranges
from harness.redaction.records import found_in_records
from harness.redaction.sighting import Sight, Sighting
from harness.redaction.split_values import found_in_two_parts

__all__ = ["SEARCH_MARKS", "Hit", "Searched", "search"]

Detect = Callable[[bytes], Iterable[tuple[str, int, int]]]
SEARCH_MARKS = (*LAYER_MARKS, BREAK_MARK)

_BREAKS = b"\r\n"
# A value that stands here as it is need not be told of encodings around it, too.
_NEAR = 4096
# Encodings of which the rest is one, too. In others a field's value may be what is left of text.
_FRAMED = frozenset({"base64", "compressed", "hex", "json", "utf-16", "xml"})
_STEP_BYTES = 2048
_BREAK_RUN = re.compile(rb"[\r\n]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """Where a secret stands.

    Attributes:
        name: the secret's name, or the kind of what was detected.
        encoding: how it is written there, the outermost encoding last.
        start: first byte; of an encoding in an encoding, where the outermost one begins.
        end: the byte after the last one.
        value: the secret's own bytes; never shown.
        depth: how many encodings had to be taken off first.
        detected: nobody told about it; its form gave it away.
    """

    name: str
    encoding: str
    start: int
    end: int
    value: bytes = field(repr=False)
    depth: int = 0
    detected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """What a search found.

    Attributes:
        hits: in no order.
        truncated: encodings held more than is decoded.
    """

    hits: list[Hit]
    truncated: bool = False


def search(
    sight: Sight, data: bytes, *, depth: int = MAX_DEPTH, detect: Detect | None = None
) -> Searched:
    """Every known value in the bytes, and what a detector finds.

    Args:
        sight: looks for the values, made with `SEARCH_MARKS`.
        data: a block.
        depth: how many encodings may stand in each other.
        detect: yields kind, start and end of what it finds in bytes.
    """
    joined = data.translate(None, _BREAKS)
    sighting = sight.look(joined)
    soft = has_soft_breaks(data)
    hits = _direct(sight, sighting, data, joined)
    taken = Ranges((hit.start, hit.end) for hit in hits)
    for span in found_across_written_breaks(
        sight, data, written=BREAK_MARK.name in sighting.marks, soft=soft
    ):
        if not taken.overlaps(span.start, span.end):
            hits.append(_found(span, "over lines"))
            taken.add(span.start, span.end)
    for kind, start, end in detect(data) if detect else ():
        value = data[start:end]
        hit = Hit(name=kind, encoding="plain", start=start, end=end, value=value, detected=True)
        if not taken.overlaps(start, end):
            hits.append(hit)
            taken.add(start, end)
    layer = layer_of(data, joined, sighting.marks, soft=soft) if depth else None
    if layer is None:
        return Searched(hits=hits)
    inside = search(sight, layer.data, depth=depth - 1, detect=detect)
    within = _within(layer, inside.hits, hits, _places(data, joined)) if inside.hits else []
    return Searched(hits=[*hits, *within], truncated=layer.truncated or inside.truncated)


def _direct(sight: Sight, sighting: Sighting, data: bytes, joined: bytes) -> list[Hit]:
    """What stands in the bytes without any decoding, also cut by line breaks and by records."""
    split = list(found_in_two_parts(sighting.halves, joined, whole=sighting.spans))
    if not (sighting.spans or split or sighting.pieces):
        return []
    place = _places(data, joined)
    hits = [_hit(span, place) for span in sighting.spans]
    hits += [_hit(span, place, how=", in two parts") for span in split]
    pieces = (replace(piece, start=place(piece.start)) for piece in sighting.pieces)
    taken: defaultdict[str, Ranges] = defaultdict(Ranges)
    for hit in hits:
        taken[hit.name].add(hit.start, hit.end)
    for span in found_in_records(sight.known, data, pieces):
        if not taken[span.name].overlaps(span.start, span.end):
            hits.append(_found(span, "over records"))
            taken[span.name].add(span.start, span.end)
    return hits


def _within(
    layer: Layer, inside: Iterable[Hit], direct: Sequence[Hit], place: Callable[[int], int]
) -> Iterator[Hit]:
    """What was found in encodings, with where these stand; not what stands there as it is."""
    starts: defaultdict[str, list[int]] = defaultdict(list)
    for hit in direct:
        bisect.insort(starts[hit.name], hit.start)
    for hit in inside:
        origin, name = layer.origin(hit.start)
        start = place(origin)
        if not _is_near(starts[hit.name], start) and (hit.name != ASSIGNED or name in _FRAMED):
            encoding, depth = f"{hit.encoding} in {name}", hit.depth + 1
            yield replace(hit, encoding=encoding, start=start, end=start, depth=depth)


def _hit(span: Span, place: Callable[[int], int], *, how: str = "") -> Hit:
    start, end = place(span.start), place(span.end - 1) + 1
    broken = end - start > span.end - span.start and b"\n" not in span.value
    how = how or (", over lines" if broken else "")
    return Hit(
        name=span.name,
        encoding=f"{span.encoding}{how}",
        start=start,
        end=end,
        value=span.value,
    )


def _found(span: Span, how: str) -> Hit:
    return Hit(
        name=span.name,
        encoding=f"{span.encoding}, {how}",
        start=span.start,
        end=span.end,
        value=span.value,
    )


def _is_near(starts: Sequence[int], start: int) -> bool:
    following = bisect.bisect_right(starts, start - _NEAR)
    return following < len(starts) and starts[following] < start + _NEAR


def _places(data: bytes, joined: bytes) -> Callable[[int], int]:
    """From a position without line breaks to the position with them."""
    if len(joined) == len(data):
        return lambda position: position
    # The same of each step's first byte, so that only a step's breaks are looked at.
    steps = [0]
    for start in range(0, len(data), _STEP_BYTES):
        end = min(start + _STEP_BYTES, len(data))
        breaks = data.count(b"\n", start, end) + data.count(b"\r", start, end)
        steps.append(steps[-1] + end - start - breaks)

    cuts_of = functools.cache(lambda step: _cuts(data, step * _STEP_BYTES))

    def place(position: int) -> int:
        step = bisect.bisect_right(steps, position, hi=len(steps) - 1) - 1
        left = position - steps[step]
        cuts, removed = cuts_of(step)
        return step * _STEP_BYTES + left + removed[bisect.bisect_right(cuts, left)]

    return place


def _cuts(data: bytes, start: int) -> tuple[list[int], list[int]]:
    """Where in a step breaks are, counted without them, and how many bytes up to there are."""
    cuts: list[int] = []
    removed = [0]
    for match in _BREAK_RUN.finditer(data, start, start + _STEP_BYTES):
        cuts.append(match.start() - start - removed[-1])
        removed.append(removed[-1] + len(match[0]))
    return cuts, removed
