"""Encodings in each other: base64 of gzip, hex of base64, a URL with JSON in it, to depth 3.

What looks like an encoding is decoded, whatever is around it; all that one level
gave becomes the text of the next one. A known value proves itself, so a wrong
guess costs time alone. What is decoded is charged to a budget.
"""

from __future__ import annotations

import base64
import binascii
import bisect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.redaction.encoded_text import TEXT_MARKS, base64_text, hex_text, run_around
from harness.redaction.packed import (
    BASE64_CHARACTERS,
    HEX_CHARACTERS,
    MAX_UNPACKED_BYTES,
    PACKED_MARKS,
    begins_compressed,
    compressed,
)
from harness.redaction.sighting import Mark
from harness.redaction.unescape import ESCAPE_MARKS, UNESCAPERS, utf_16_texts

__all__ = ["LAYER_MARKS", "MAX_DEPTH", "Layer", "layer_of"]

MAX_DEPTH = 3
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_MIN_PACKED_RUN = 12
_HEAD_CHARACTERS = 1024
_REGION_BYTES = 512
# How much longer the encoded bytes are; nothing where that cannot be told.
_WIDTH = {"base64": 4 / 3, "hex": 2, "url": 1, "json": 1, "xml": 1, "quoted-printable": 1}
# Pairs of digits with something in between, as in `0x65, 0x32` and `65:32`.
_SEPARATED = re.compile(rb"(?:0x)?[0-9a-fA-F]{2}(?:(?:[:\- ]|, ?)(?:0x)?[0-9a-fA-F]{2}){5,}")
_SEPARATOR = rb"(?:[:\- ]|, ?0x)"
_SEPARATORS = re.compile(rb"0x|[:\- ,]")
LAYER_MARKS = (
    *TEXT_MARKS,
    *PACKED_MARKS,
    *ESCAPE_MARKS,
    Mark(name="separated hex", expression=rb"(?:[2-7][0-9a-fA-F][:\- ](?:00[:\- ])?){5}[2-7]"),
    Mark(name="separated hex", expression=rb"(?:0x[2-7][0-9a-fA-F],? ?(?:0x00,? ?)?){5}0x"),
    *(
        Mark(name="separated hex", expression=_SEPARATOR.join(first))
        for first in (
            *((b"1[fF]", b"8[bB]", b"08"), (b"78", b"(?:9[cC]|[dD][aA]|01|5[eE])", b"")),
            *((b"42", b"5[aA]", b"68"), (b"[fF][dD]", b"37", b"7[aA]"), (b"50", b"4[bB]", b"03")),
        )
    ),
)
# A line as long as quoted-printable makes them; padded base64 ends so, too, but seldom there.
_SOFT_BREAK = re.compile(rb"(?:^|\n)[^\r\n]{60,75}=\r?\n")
_QUOTED = re.compile(rb"=(?:[0-9A-F]{2}|\r?\n)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What one level of encodings held.

    Attributes:
        data: everything that was decoded, with a separator between two pieces.
        truncated: the budget was used up before the end.
    """

    data: bytes
    truncated: bool
    _starts: tuple[int, ...]
    _origins: tuple[int, ...]
    _names: tuple[str, ...]

    def origin(self, position: int) -> tuple[int, str]:
        """About where a position came from, and by which encoding."""
        index = bisect.bisect_right(self._starts, position) - 1
        name, within = self._names[index], position - self._starts[index]
        return self._origins[index] + int(within * _WIDTH.get(name, 0)), name


def layer_of(
    data: bytes, joined: bytes, marks: Mapping[str, Sequence[int]], *, soft: bool
) -> Layer | None:
    """Everything in the data that can be decoded, once; None where nothing can be.

    Args:
        data: the bytes.
        joined: the same without line breaks; origins are positions in these.
        marks: where in `joined` those of `LAYER_MARKS` stand, ascending.
        soft: see `line_breaks.has_soft_breaks`.
    """
    left = MAX_UNPACKED_BYTES
    truncated = False
    starts: list[int] = []
    origins: list[int] = []
    names: list[str] = []
    pieces: list[bytes] = []
    length = 0
    for origin, name, whole in _pieces(data, joined, marks, soft=soft):
        piece = whole[:left]
        truncated = truncated or len(whole) > left
        starts.append(length)
        origins.append(origin)
        names.append(name)
        pieces.append(piece)
        length += len(piece) + 1
        left -= len(piece)
        if left <= 0:
            break
    if not pieces:
        return None
    return Layer(
        data=b"\0".join(pieces),
        truncated=truncated,
        _starts=tuple(starts),
        _origins=tuple(origins),
        _names=tuple(names),
    )


def _pieces(
    data: bytes, joined: bytes, marks: Mapping[str, Sequence[int]], *, soft: bool
) -> Iterator[tuple[int, str, bytes]]:
    yield from _packed_runs(joined, marks)
    yield from _text_runs(joined, marks)
    for name in ("url", "json", "xml", "shell", "csv", "colours"):
        yield from _unescaped(joined, name, marks.get(name, ()))
    if "quoted-printable" in marks or (soft and _SOFT_BREAK.search(data)):
        places = (match.start() for match in _QUOTED.finditer(data))
        # From the bytes as they are: line breaks count where compressed bytes are in it.
        for start, name, text in _unescaped(data, "quoted-printable", places):
            yield start - data.count(b"\n", 0, start), name, text
    if "utf-16" in marks:
        for start, text in utf_16_texts(data):
            yield start - data.count(b"\n", 0, start), "utf-16", text
    if "packed" in marks:
        for start, unpacked in compressed(data):
            yield start - data.count(b"\n", 0, start), "compressed", unpacked


def _packed_runs(
    joined: bytes, marks: Mapping[str, Sequence[int]]
) -> Iterator[tuple[int, str, bytes]]:
    for name, characters, decode in (
        ("base64", BASE64_CHARACTERS, _from_base64),
        ("hex", HEX_CHARACTERS, _from_hex),
    ):
        for place in marks.get(f"packed in {name}", ()):
            head = joined[place : place + _HEAD_CHARACTERS]
            if not begins_compressed(decode(head[: run_around(head, 0, characters)])):
                continue
            end = run_around(joined, place, characters)
            if end - place >= _MIN_PACKED_RUN:
                yield place, name, decode(joined[place:end])


def _text_runs(
    joined: bytes, marks: Mapping[str, Sequence[int]]
) -> Iterator[tuple[int, str, bytes]]:
    for start, run in base64_text(joined, marks.get("text in base64", ())):
        yield start, "base64", _from_base64(run)
    for start, run in hex_text(joined, marks.get("text in hex", ())):
        yield start, "hex", _from_hex(run)
    if "separated hex" in marks:
        for match in _SEPARATED.finditer(joined):
            yield match.start(), "hex", _from_hex(_SEPARATORS.sub(b"", match[0]))


def _from_hex(run: bytes) -> bytes:
    return binascii.unhexlify(run[: len(run) // 2 * 2])


def _from_base64(run: bytes) -> bytes:
    """What a run stands for; characters at its end that make no byte are left out."""
    run = run.translate(_TO_STANDARD)
    over = len(run) % 4
    return base64.b64decode(run[:-1] if over == 1 else run + b"=" * (-len(run) % 4))


def _unescaped(data: bytes, name: str, places: Iterable[int]) -> Iterator[tuple[int, str, bytes]]:
    unescape = UNESCAPERS.get(name)
    if unescape is None:
        return
    for start, end in _regions(len(data), places):
        region = data[start:end]
        for text in unescape(region):
            if text != region:
                yield start, name, text


def _regions(length: int, places: Iterable[int]) -> Iterator[tuple[int, int]]:
    """The surroundings of the places; what they share stands in one region."""
    start = end = -1
    for place in places:
        if end < 0 or place - _REGION_BYTES > end:
            if end >= 0:
                yield start, min(end, length)
            start = max(place - _REGION_BYTES, 0)
        end = place + _REGION_BYTES
    if end >= 0:
        yield start, min(end, length)
