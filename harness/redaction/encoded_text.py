"""Where in bytes text stands in base64 or in hexadecimal digits, at any alignment.

Text leaves a trace in its encoding: the high bits of each byte are those of ASCII,
so that each character of a group is one of a few. The expressions for it are looked
for in the same pass as everything else; here their matches become runs to decode.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Sequence

from harness.redaction.sighting import Mark

__all__ = ["TEXT_MARKS", "base64_text", "hex_text", "run_around"]

_BASE64 = string.ascii_letters.encode() + string.digits.encode() + b"+/-_"
_HEX = string.hexdigits.encode()
# Of a hash and of a UUID nothing else is in 12 characters; they are most of what looks encoded.
_OF_HASHES = b"0123456789abcdef-"
# A group of four characters of base64 whose three bytes are printable or breaks: the high bits
# of each are in the first, the second and the third character.
_GROUP = b"[CDI-Za-f][AQgwC-HS-Xi-nyz0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/_-]"
# Two groups with three such bytes in UTF-16.
_WIDE_GROUPS = b"[CDI-Za-f][AQgw][AB][A-Za-z0-9+/_-]A[A-H][AEIMQUYcgkosw048]A"
_GROUPS = 3
_PAIRS = 8
_PAIR = b"[2-7][0-9a-fA-F]"
TEXT_MARKS = (
    Mark(name="text in base64", expression=_GROUP * _GROUPS, length=4 * _GROUPS),
    Mark(name="text in base64", expression=_WIDE_GROUPS * 2, length=16),
    Mark(name="text in hex", expression=b"(?:%s){%d}" % (_PAIR, _PAIRS), length=2 * _PAIRS),
    Mark(name="text in hex", expression=b"(?:%s00){%d}" % (_PAIR, _PAIRS // 2), length=2 * _PAIRS),
)
_AROUND = 64 * 1024
_REACH = 64  # characters; a whole number of groups


def base64_text(data: bytes, places: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """Parts of runs of base64 that hold text, in whole groups, each with where it begins."""
    length = 4 * _GROUPS + 4
    # Not parts of hashes.
    text = [place for place in places if data[place : place + length].translate(None, _OF_HASHES)]
    return _runs(data, _BASE64, text, group=4)


def hex_text(data: bytes, places: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """Parts of runs of hexadecimal digits that hold text, an even number of digits each."""
    for start, run in _runs(data, _HEX, places, group=2):
        yield start, run[: len(run) // 2 * 2]


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


def _runs(
    data: bytes, members: bytes, places: Sequence[int], *, group: int
) -> Iterator[tuple[int, bytes]]:
    # For each alignment the part that is under way: of random characters little passes for text.
    parts: dict[int, tuple[int, int]] = {}
    for place in places:
        alignment = place % group
        first, last = parts.get(alignment, (-1, -1))
        if place >= last:
            if first >= 0:
                yield first, data[first:last]
            before = data[max(place - _REACH, 0) : place]
            back = len(before) - len(before.rstrip(members))
            first, last = place - back // group * group, place
        after = data[last : place + _REACH]
        parts[alignment] = first, last + len(after) - len(after.lstrip(members))
    for first, last in parts.values():
        yield first, data[first:last]
