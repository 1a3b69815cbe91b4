"""Where in bytes text stands in base64 or in hexadecimal digits, at any alignment.

Text leaves a trace in its encoding: the high bits of each byte are those of ASCII,
so that every fourth character (every second digit) is one of a few. A whole block
is tested at once, so that a log without such text costs little more than reading it.
"""

from __future__ import annotations

import string
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["encoded_text", "run_around"]

_BASE64 = frozenset(string.ascii_letters.encode() + string.digits.encode() + b"+/-_")
_HEX = frozenset(string.hexdigits.encode())
# Of a hash and of a UUID nothing else is in 16 characters; they are most of what looks encoded.
_OF_HASHES = frozenset(b"0123456789abcdef-")
# The first character of a group of four where the bytes are printable, breaks or UTF-16.
_TEXT_BASE64 = frozenset(b"ACDIJKLMNOPQRSTUVWXYZabcdef")
_TEXT_HEX = frozenset(b"234567")
_CLASSES = (_BASE64, _HEX, _TEXT_BASE64, _TEXT_HEX, frozenset(range(256)) - _OF_HASHES)
_IN_BASE64, _IN_HEX, _IS_TEXT_BASE64, _IS_TEXT_HEX, _IN_NO_HASH = (1 << n for n in range(5))
_FLAGS = bytes(
    sum(1 << number for number, members in enumerate(_CLASSES) if byte in members)
    for byte in range(256)
)
_OF_BASE64 = bytes(1 if byte in _BASE64 else 0 for byte in range(256))
_OF_HEX = bytes(1 if byte in _HEX else 0 for byte in range(256))
_WINDOW = 16  # characters: four groups of base64, eight pairs of digits
_AROUND = 64 * 1024
_REACH = 64  # characters; a whole number of groups
_Flags = NDArray[np.uint8]


def encoded_text(data: bytes) -> Iterator[tuple[int, str, bytes]]:
    """Parts of runs that hold text, with what is around it, in whole groups.

    Yields:
        Start, "base64" or "hex", and the characters; of digits an even number.
    """
    if len(data) < _WINDOW:
        return
    flags = np.frombuffer(data.translate(_FLAGS), np.uint8)
    length = len(data) - _WINDOW + 1
    inside = _all_of_window(flags, length)
    fours = flags[:-4] & flags[4:]
    fours = fours[:-8] & fours[8:]
    base64 = (fours[:length] & _IS_TEXT_BASE64 != 0) & (inside & _IN_BASE64 != 0)
    if base64.any():
        base64 &= _any_of_window(flags, length) & _IN_NO_HASH != 0
        # Paths often pass for four groups; what goes on must go on as text.
        after = np.zeros(length, np.uint8)
        after[: length - 1] = flags[_WINDOW:]
        base64 &= (after & _IS_TEXT_BASE64 != 0) | (after & _IN_BASE64 == 0)
        yield from _runs(data, "base64", _OF_BASE64, base64, group=4)
    pairs = flags[:-2] & flags[2:]
    pairs = pairs[:-4] & pairs[4:]
    pairs = pairs[:-8] & pairs[8:]
    digits = (pairs[:length] & _IS_TEXT_HEX != 0) & (inside[: len(pairs)] & _IN_HEX != 0)
    yield from _runs(data, "hex", _OF_HEX, digits, group=2)


def run_around(data: bytes, place: int, characters: bytes) -> int:
    """The end of a run of certain characters that a place is in."""
    end = place
    while end < len(data):
        piece = data[end : end + _AROUND]
        rest = piece.lstrip(characters)
        end += len(piece) - len(rest)
        if rest:
            break
    return end


def _all_of_window(flags: _Flags, length: int) -> _Flags:
    for width in (1, 2, 4, 8):
        flags = flags[:-width] & flags[width:]
    return flags[:length]


def _any_of_window(flags: _Flags, length: int) -> _Flags:
    for width in (1, 2, 4, 8):
        flags = flags[:-width] | flags[width:]
    return flags[:length]


def _runs(
    data: bytes, name: str, members: bytes, places: NDArray[np.bool_], *, group: int
) -> Iterator[tuple[int, str, bytes]]:
    found = np.flatnonzero(places)
    if not len(found):
        return
    inside = data.translate(members)
    # For each alignment the part that is under way: of random characters little passes for text.
    parts: dict[int, tuple[int, int]] = {}
    start = end = -1
    for place in found.tolist():
        if place >= end:
            yield from _cut(data, name, parts)
            start = inside.rfind(b"\0", 0, place) + 1
            end = inside.find(b"\0", place)
            end = end if end >= 0 else len(data)
        alignment = (place - start) % group
        first, last = parts.get(alignment, (-1, -1))
        if last < place - _REACH and first >= 0:
            yield from _cut(data, name, {alignment: (first, last)})
            first = -1
        if first < 0:
            first = max(place - _REACH, start + alignment)
        parts[alignment] = (first, min(place + _REACH, end))
    yield from _cut(data, name, parts)


def _cut(
    data: bytes, name: str, parts: dict[int, tuple[int, int]]
) -> Iterator[tuple[int, str, bytes]]:
    for first, last in parts.values():
        even = last - (last - first) % 2 if name == "hex" else last
        yield first, name, data[first:even]
    parts.clear()
