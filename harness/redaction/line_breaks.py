r"""Known values that line breaks cut: base64 wrapped at 76, a value over two lines of a log.

The bytes are searched a second time with their line breaks taken out, also those
that stand there in writing (`\n` in JSON) and the soft ones of quoted-printable.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from dataclasses import replace

from harness.redaction.known import KnownValues, Span

__all__ = ["found_across_lines"]

_REAL = re.compile(rb"[\r\n]+")
_WRITTEN = re.compile(rb"=\r?\n|(?:[\r\n]|\\r|\\n)+")


def found_across_lines(known: KnownValues, data: bytes) -> Iterator[Span]:
    """Spans of values that a line break cuts, in positions of the data as it is."""
    if b"\n" in data:
        yield from _found(known, data, data.translate(None, b"\r\n"), _REAL)
    if b"\\n" in data or b"=\n" in data or b"=\r\n" in data:
        yield from _found(known, data, _without_written_breaks(data), _WRITTEN)


def _without_written_breaks(data: bytes) -> bytes:
    """What the expression matches taken out; its `sub` would take ten times as long."""
    for written in (b"\\r", b"\\n", b"=\r\n", b"=\n"):
        data = data.replace(written, b"")
    return data.translate(None, b"\r\n")


def _found(
    known: KnownValues, data: bytes, joined: bytes, breaks: re.Pattern[bytes]
) -> Iterator[Span]:
    spans = known.spans(joined)
    if not spans:
        return
    cuts: list[int] = []  # where a break was, counted in the joined bytes
    removed = [0]  # how many bytes were taken out up to there
    for match in breaks.finditer(data):
        cuts.append(match.start() - removed[-1])
        removed.append(removed[-1] + len(match[0]))
    for span in spans:
        before = bisect.bisect_right(cuts, span.start)
        within = bisect.bisect_left(cuts, span.end)
        if within > before:
            yield replace(span, start=span.start + removed[before], end=span.end + removed[within])
