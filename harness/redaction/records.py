"""Values that several records share: the texts of neighbouring records, joined and searched.

A log that is written in chunks cuts a value anywhere, more than once, and puts an
envelope of its own around each part. Where a small piece of a value stands, the records
around it are taken apart: JSON by its fields, others by what their lines have in common.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from harness.redaction.known import KnownValues, Span
from harness.redaction.sighting import Piece

__all__ = ["found_in_records"]

_LINES_AROUND = 12
_AFTER_TEXT = frozenset(b"\"'<>,;}])\\\r\n")
_MAX_LINE_BYTES = 16 * 1024
_DIGITS = re.compile(rb"([0-9]+)")
_OPENING = re.compile(rb".*[\s\"'=:>|,;(\[]", re.DOTALL)
_CLOSING = re.compile(rb"[\"'<}\])>]")


@dataclass(frozen=True, slots=True)
class _Line:
    start: int
    text: bytes


def found_in_records(known: KnownValues, data: bytes, pieces: Iterable[Piece]) -> Iterator[Span]:
    """Spans from the first line to the last one of values that records share.

    Args:
        known: the values.
        data: the bytes as they are.
        pieces: small pieces of the values, ascending.
    """
    done = -1
    for piece in pieces:
        if piece.start < done or not _is_cut(data, piece):
            continue
        lines = _lines_around(data, piece.start)
        done = data.find(b"\n", piece.start)
        done = done if done >= 0 else len(data)
        for parts in (*_fields(lines), *_texts(lines)):
            yield from _shared(known, parts)


def _is_cut(data: bytes, piece: Piece) -> bool:
    """Whether a part of the form stands here as a record's border cuts it; of prose little does."""
    form, first, last, start = piece.form, piece.offset, piece.offset, piece.start
    end = start
    while first > 0 and start > 0 and data[start - 1] == form[first - 1]:
        first, start = first - 1, start - 1
    while last < len(form) and end < len(data) and data[end] == form[last]:
        last, end = last + 1, end + 1
    begins = first == 0 or not data[start - 1 : start].isalnum()
    ends = last == len(form) or end == len(data) or data[end] in _AFTER_TEXT
    return begins and ends and last - first < len(form)


def _lines_around(data: bytes, place: int) -> list[_Line]:
    start = end = place
    for _ in range(_LINES_AROUND + 1):
        start = data.rfind(b"\n", max(start - _MAX_LINE_BYTES, 0), start)
        if start < 0:
            break
    for _ in range(_LINES_AROUND + 1):
        following = data.find(b"\n", end, end + _MAX_LINE_BYTES)
        if following < 0:
            end = min(len(data), end + _MAX_LINE_BYTES)
            break
        end = following + 1
    found = []
    position = start + 1
    for line in data[position:end].split(b"\n"):
        found.append(_Line(position, line.rstrip(b"\r")))
        position += len(line) + 1
    return found


def _fields(lines: Sequence[_Line]) -> Iterator[list[_Line]]:
    """For each field of JSON records its texts, one after the other."""
    fields: dict[tuple[str, ...], list[_Line]] = {}
    for line in lines:
        if not line.text.lstrip().startswith(b"{"):
            continue
        try:
            record = json.loads(line.text)
        except ValueError:
            continue
        for path, text in _strings(record, ()):
            part = _Line(line.start, text.encode("utf-8", "surrogatepass"))
            fields.setdefault(path, []).append(part)
    yield from (parts for parts in fields.values() if len(parts) > 1)


def _strings(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _strings(inner, (*path, key))
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner, path)


def _texts(lines: Sequence[_Line]) -> Iterator[list[_Line]]:
    """What is left of neighbouring lines without the beginning and the end that they share."""
    for number, (one, two) in enumerate(itertools.pairwise(lines)):
        prefix, suffix = _common_prefix(one.text, two.text), _common_suffix(one.text, two.text)
        if prefix is None:
            continue
        parts = []
        for line in lines[number:]:
            opening = prefix.match(line.text)
            if opening is None or not line.text.endswith(suffix):
                break
            content = line.text[opening.end() : len(line.text) - len(suffix)]
            parts.append(_Line(line.start, content))
        if len(parts) > 1:
            yield parts


def _common_prefix(one: bytes, two: bytes) -> re.Pattern[bytes] | None:
    """An expression for it, in which digits stand for any; None where there is none."""
    shared = b""
    expression = b""
    for a, b in zip(_DIGITS.split(one), _DIGITS.split(two), strict=False):
        if a.isdigit() and b.isdigit():
            shared += b"0"
            expression += rb"[0-9]+"
            continue
        length = next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
        length = min(len(a), len(b)) if length is None else length
        shared += a[:length]
        expression += re.escape(a[:length])
        if length < max(len(a), len(b)):
            break
    opening = _OPENING.match(shared)
    if opening is None:
        return None
    left_out = shared[opening.end() :]
    kept = expression
    for token in reversed(_DIGITS.split(left_out)):
        kept = kept.removesuffix(rb"[0-9]+" if token.isdigit() else re.escape(token))
    return re.compile(kept)


def _common_suffix(one: bytes, two: bytes) -> bytes:
    length = 0
    while length < min(len(one), len(two)) and one[-1 - length] == two[-1 - length]:
        length += 1
    suffix = one[len(one) - length :]
    closing = _CLOSING.search(suffix)
    return suffix[closing.start() :] if closing else b""


def _shared(known: KnownValues, parts: Sequence[_Line]) -> Iterator[Span]:
    borders = []
    length = 0
    for part in parts:
        length += len(part.text)
        borders.append(length)
    for span in known.spans(b"".join(part.text for part in parts)):
        first = next(n for n, border in enumerate(borders) if span.start < border)
        last = next(n for n, border in enumerate(borders) if span.end <= border)
        if last > first:
            yield replace(span, start=parts[first].start, end=parts[last].start + 1)
