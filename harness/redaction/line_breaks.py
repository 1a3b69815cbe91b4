r"""Known values that written line breaks cut: `\n` in JSON, the soft ones of quoted-printable.

A line break itself is taken out of everything that is searched (see `search`); these
must be looked for, and the bytes are searched again where there are any.
"""

from __future__ import annotations

import bisect
import heapq
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from harness.redaction.known import Span
from harness.redaction.sighting import Mark, Sight

__all__ = ["BREAK_MARK", "found_across_written_breaks", "has_soft_breaks"]

# At the end of a text in JSON it cuts nothing.
BREAK_MARK = Mark(name="written break", expression=rb"\\[nr][^\x22]", once=True)

_WRITTEN = re.compile(rb"=\r?\n|(?:[\r\n]|\\r|\\n)+")


def has_soft_breaks(data: bytes) -> bool:
    """Whether a line ends as those of quoted-printable do that go on."""
    return b"=\n" in data or (b"\r" in data and b"=\r\n" in data)


def found_across_written_breaks(
    sight: Sight, data: bytes, *, written: bool, soft: bool
) -> Iterator[Span]:
    """Spans of values that such a break cuts, in positions of the data as it is.

    Args:
        sight: looks for the values.
        data: the bytes.
        written: there are breaks such as those in JSON.
        soft: see `has_soft_breaks`.
    """
    breaks = (*((b"\\n",) if written else ()), *((b"=\n", b"=\r\n") if soft else ()))
    for start, end in _regions(data, breaks, reach=2 * sight.known.longest_bytes + 64):
        for span in _found(sight, data[start:end]):
            yield replace(span, start=span.start + start, end=span.end + start)


def _regions(data: bytes, breaks: Iterable[bytes], *, reach: int) -> Iterator[tuple[int, int]]:
    """The surroundings of breaks, those that touch as one."""
    start = end = 0
    for place in heapq.merge(*(_places(data, written) for written in breaks)):
        if place - reach > end:
            if end:
                yield max(start, 0), end
            start = place - reach
        end = place + reach
    if end:
        yield max(start, 0), end


def _places(data: bytes, written: bytes) -> Iterator[int]:
    place = data.find(written)
    while place >= 0:
        # At the end of a text in JSON it cuts nothing.
        if data[place + 2 : place + 3] != b'"':
            yield place
        # One in 64 bytes is enough to know that there are some.
        place = data.find(written, place + 64)


def _found(sight: Sight, data: bytes) -> Iterator[Span]:
    spans = sight.look(_without_breaks(data)).spans
    if not spans:
        return
    cuts: list[int] = []  # where a break was, counted in the joined bytes
    removed = [0]  # how many bytes were taken out up to there
    for match in _WRITTEN.finditer(data):
        cuts.append(match.start() - removed[-1])
        removed.append(removed[-1] + len(match[0]))
    for span in spans:
        before = bisect.bisect_right(cuts, span.start)
        within = bisect.bisect_left(cuts, span.end)
        if within > before:
            yield replace(span, start=span.start + removed[before], end=span.end + removed[within])


def _without_breaks(data: bytes) -> bytes:
    """What the expression matches taken out; its `sub` would take ten times as long."""
    for written in (b"\\r", b"\\n", b"=\r\n", b"=\n"):
        if written in data:
            data = data.replace(written, b"")
    return data.translate(None, b"\r\n")
