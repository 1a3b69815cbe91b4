"""One pass over bytes without line breaks: whole values, pieces of them, marks of encodings.

A value that two log records share is nowhere whole. What is looked for besides are
its halves, and small pieces of it that say where records are worth being joined.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from harness.redaction.encodings import MIN_FORM_BYTES
from harness.redaction.known import (
    BEGINNING_BYTES,
    KnownValues,
    Needle,
    Span,
    united,
    whole,
)
from harness.redaction.matcher import Matcher, literal

__all__ = ["Half", "Mark", "Piece", "Sight", "Sighting"]

# One half of a value cut in two is whole. Shorter halves are everywhere.
_HALF_MIN_BYTES = 4
_SPLIT_ENCODINGS = frozenset({"plain", "json", "xml", "url"})
_LINE_BREAKS = b"\r\n"
# Pieces of a form: how long, and how far apart they begin. A short value's are short, and
# whatever part of it stands in a record holds one.
_SHORT_PIECE, _PIECE, _ENCODED_PIECE = (3, 1), (5, 2), (8, 4)
_SHORT_FORM_BYTES = 16
_ENCODED = frozenset({"base64", "hex"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """An expression whose matches the caller wants to know of, whatever they mean.

    Attributes:
        name: what it means to the caller.
        expression: see `Matcher`.
        length: of each match; 0 where it differs, and only the end is known.
        once: one match is enough.
    """

    name: str
    expression: bytes
    length: int = 0
    once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Half:
    """One half of a value, which the other half may be near to.

    Attributes:
        start: where it stands.
        name: the secret's name.
        encoding: how it is written there.
        form: the whole of it, written so; never shown.
        second: it is the second half.
        value: the secret's own bytes; never shown.
    """

    start: int
    name: str
    encoding: str
    form: bytes = field(repr=False)
    second: bool = False
    value: bytes = field(repr=False, default=b"")


@dataclass(frozen=True, slots=True)
class Piece:
    """A small piece of a form.

    Attributes:
        start: where it stands.
        form: the whole of it; never shown.
        offset: where in the form the piece begins.
    """

    start: int
    form: bytes = field(repr=False)
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What one pass has met.

    Attributes:
        spans: where values stand.
        halves: where halves of values stand, also those of whole ones.
        pieces: small pieces of values that are not whole there.
        marks: by their names, where marks stand, ascending.
    """

    spans: list[Span]
    halves: list[Half]
    pieces: list[Piece]
    marks: dict[str, array[int]]


@dataclass(slots=True)
class _Meaning:
    """What it means that a literal stands somewhere."""

    length: int
    wholes: list[Needle] = field(default_factory=list)
    halves: list[tuple[Needle, bool]] = field(default_factory=list)
    pieces: list[tuple[bytes, int]] = field(default_factory=list)


class Sight:
    """Looks at bytes whose line breaks were taken out.

    A form that holds a line break itself is looked for without it.

    Args:
        known: the values.
        marks: further expressions.

    Attributes:
        known: the values.
    """

    def __init__(self, known: KnownValues, marks: Sequence[Mark] = ()) -> None:
        self.known = known
        meanings: dict[bytes, _Meaning] = {}

        def meaning(data: bytes) -> _Meaning:
            return meanings.setdefault(data, _Meaning(len(data)))

        for original in known.needles:
            needle = replace(original, data=original.data.translate(None, _LINE_BREAKS))
            if len(needle.data) < MIN_FORM_BYTES:
                continue
            meaning(needle.data[:BEGINNING_BYTES]).wholes.append(needle)
            if needle.skip:
                continue
            for offset, piece in _pieces(needle):
                meaning(piece).pieces.append((needle.data, offset))
            middle = len(needle.data) // 2
            if middle >= _HALF_MIN_BYTES and needle.encoding in _SPLIT_ENCODINGS:
                meaning(needle.data[:middle][:BEGINNING_BYTES]).halves.append((needle, False))
                meaning(needle.data[middle:][:BEGINNING_BYTES]).halves.append((needle, True))
        self._meanings = tuple(meanings.values())
        self._marks = tuple(marks)
        count = len(self._meanings)
        self._matcher = Matcher(
            [*map(literal, meanings), *(mark.expression for mark in marks)],
            once=frozenset(count + number for number, mark in enumerate(marks) if mark.once),
        )

    def look(self, joined: bytes) -> Sighting:
        """What stands in the bytes."""
        spans: list[Span] = []
        halves: list[Half] = []
        pieces: list[tuple[int, bytes, int]] = []
        marks: dict[str, array[int]] = {}
        for end, number in self._matcher.ends(joined):
            if number >= len(self._meanings):
                mark = self._marks[number - len(self._meanings)]
                marks.setdefault(mark.name, array("q")).append(end - mark.length)
                continue
            meaning = self._meanings[number]
            start = end - meaning.length
            if meaning.wholes:
                spans += whole(meaning.wholes, joined, start)
            if meaning.halves:
                halves += _half(meaning.halves, joined, start)
            pieces += [(start, form, offset) for form, offset in meaning.pieces]
        wholes = {(span.start, span.end) for span in spans}
        cut = [
            Piece(start, form, offset)
            for start, form, offset in pieces
            if (start - offset, start - offset + len(form)) not in wholes
        ]
        return Sighting(spans=united(spans), halves=halves, pieces=cut, marks=marks)


def _pieces(needle: Needle) -> Iterable[tuple[int, bytes]]:
    data = needle.data
    if needle.encoding in _ENCODED and data.isalnum():  # not the forms with separators
        length, step = _ENCODED_PIECE
    elif needle.encoding == "plain":
        length, step = _SHORT_PIECE if len(data) < _SHORT_FORM_BYTES else _PIECE
    else:
        return ()
    return (
        (start, data[start : start + length]) for start in range(0, len(data) - length + 1, step)
    )


def _half(halves: Iterable[tuple[Needle, bool]], data: bytes, start: int) -> Iterable[Half]:
    for needle, second in halves:
        middle = len(needle.data) // 2
        half = needle.data[middle:] if second else needle.data[:middle]
        if data.startswith(half, start):
            yield Half(
                start=start,
                name=needle.name,
                encoding=needle.encoding,
                form=needle.data,
                second=second,
                value=needle.value,
            )
