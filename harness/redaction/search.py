"""One search for known values in bytes: as they are, cut in two, and in encodings of encodings.

The bytes are searched once with their line breaks taken out, which finds what
stands on one line and what a break cuts; positions are worked out for hits alone.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from harness.redaction.known import Span
from harness.redaction.layers import LAYER_MARKS, MAX_DEPTH, layer_of
from harness.redaction.line_breaks import (
    BREAK_MARK,
    found_across_written_breaks,
    has_soft_breaks,
)
from harness.redaction.pattern_rules import ASSIGNED
from harness.redaction.sighting import Sight
from harness.redaction.split_values import found_in_two_parts

__all__ = ["SEARCH_MARKS", "Hit", "Searched", "search"]

Detect = Callable[[bytes], Iterable[tuple[str, int, int]]]
SEARCH_MARKS = (*LAYER_MARKS, BREAK_MARK)

_BREAKS = b"\r\n"
# A value that stands here as it is need not be told of encodings around it, too.
_NEAR = 4096
# Encodings of which the rest is one, too. In others a field's value may be what is left of text.
_FRAMED = frozenset({"base64", "compressed", "hex", "json", "xml"})
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
    split = list(found_in_two_parts(sighting.halves, joined, whole=sighting.spans))
    hits: list[Hit] = []
    if sighting.spans or split:
        place = _places(data, joined)
        hits = [_hit(span, place) for span in sighting.spans]
        hits += [_hit(span, place, how=", in two parts") for span in split]
    hits += [
        Hit(
            name=span.name,
            encoding=f"{span.encoding}, over lines",
            start=span.start,
            end=span.end,
            value=span.value,
        )
        for span in found_across_written_breaks(
            sight, data, written=BREAK_MARK.name in sighting.marks, soft=soft
        )
        if not any(hit.start < span.end and span.start < hit.end for hit in hits)
    ]
    hits += [
        Hit(name=kind, encoding="plain", start=start, end=end, value=data[start:end], detected=True)
        for kind, start, end in (detect(data) if detect else ())
        if not any(hit.start < end and start < hit.end for hit in hits)
    ]
    layer = layer_of(data, joined, sighting.marks, soft=soft) if depth else None
    if layer is None:
        return Searched(hits=hits)
    inside = search(sight, layer.data, depth=depth - 1, detect=detect)
    if inside.hits:
        direct = tuple(hits)
        place = _places(data, joined)
        for hit in inside.hits:
            origin, name = layer.origin(hit.start)
            start = place(origin)
            if hit.name == ASSIGNED and name not in _FRAMED:
                continue
            if any(hit.name == other.name and abs(start - other.start) < _NEAR for other in direct):
                continue
            hits.append(
                Hit(
                    name=hit.name,
                    encoding=f"{hit.encoding} in {name}",
                    start=start,
                    end=start,
                    value=hit.value,
                    depth=hit.depth + 1,
                    detected=hit.detected,
                )
            )
    return Searched(hits=hits, truncated=layer.truncated or inside.truncated)


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


def _places(data: bytes, joined: bytes) -> Callable[[int], int]:
    """From a position without line breaks to the position with them."""
    if len(joined) == len(data):
        return lambda position: position
    cuts: list[int] = []
    removed = [0]
    for match in _BREAK_RUN.finditer(data):
        cuts.append(match.start() - removed[-1])
        removed.append(removed[-1] + len(match[0]))
    return lambda position: position + removed[bisect.bisect_right(cuts, position)]
