"""Encodings in each other: base64 of gzip, hex of base64, a URL with JSON in it, to depth 3.

What looks like an encoding is decoded, whatever is around it; all that one level
gave becomes the text of the next one. A known value proves itself, so a wrong
guess costs time alone. What is decoded is charged to a budget.
"""

from __future__ import annotations

import base64
import binascii
import bisect
import bz2
import html
import lzma
import re
import string
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from harness.redaction.encoded_text import encoded_text, run_around

__all__ = ["LAYER_MARKS", "MAX_DEPTH", "Layer", "layer_of", "open_run_start"]

MAX_DEPTH = 3
MAX_UNPACKED_BYTES = 8 * 1024 * 1024  # from one level of one block
_BASE64_CHARACTERS = string.ascii_letters.encode() + string.digits.encode() + b"+/-_"
_HEX_CHARACTERS = string.hexdigits.encode()
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
# How compressed bytes begin, as they are, in base64 and in hexadecimal digits. Of zlib each
# level has a beginning of its own.
_PACKED = (
    *(b"\x1f\x8b\x08", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"),
    *(b"BZh91AY", b"\xfd7zXZ\x00"),
)
_PACKED_BASE64 = (
    *(b"H4sI", b"eJw", b"eJx", b"eJy", b"eJz", b"eNo", b"eNp", b"eNq", b"eNr", b"eAE", b"eAF"),
    *(b"eF4", b"eF5", b"eF6", b"eF7", b"QlpoO", b"/Td6WFo", b"_Td6WFo"),
)
_PACKED_HEX = (b"1f8b08", b"1F8B08", b"789c", b"789C", b"78da", b"78DA", b"425a68", b"425A68")
# One of these stands in every text that an unescaping would change.
_ESCAPES: dict[str, tuple[bytes, ...]] = {
    "url": tuple(b"%" + first for first in (b"%c" % c for c in b"0123456789abcdefABCDEF")),
    "json": (b"\\u", b"\\x", b"\\/", b'\\"', b"\\\\"),
    "xml": (b"&#", b"&am", b"&qu", b"&lt", b"&gt", b"&ap"),
    "quoted-printable": (b"=3D", b"=0A", b"=1F=8B", b"x=9C", b"x=DA"),
}
_ESCAPE_OF = {mark: name for name, marks in _ESCAPES.items() for mark in marks}
_PACKED_MARKS = frozenset(_PACKED)
_BASE64_MARKS = frozenset(_PACKED_BASE64)
LAYER_MARKS = (*_PACKED, *_PACKED_BASE64, *_PACKED_HEX, *_ESCAPE_OF)
_MIN_PACKED_RUN = 12
_REGION_BYTES = 512
# How much longer the encoded bytes are; nothing where that cannot be told.
_WIDTH = {"base64": 4 / 3, "hex": 2, "url": 1, "json": 1, "xml": 1, "quoted-printable": 1}
_JSON = re.compile(rb"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|([\\/\"'nrtbf]))")
_JSON_LETTERS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}
# A line as long as quoted-printable makes them; padded base64 ends so, too, but seldom there.
_SOFT_BREAK = re.compile(rb"(?:^|\n)[^\r\n]{72,75}=\r?\n")
_QUOTED = re.compile(rb"=(?:([0-9A-F]{2})|\r?\n)")


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


def layer_of(data: bytes, joined: bytes, marks: Iterable[tuple[int, bytes]]) -> Layer | None:
    """Everything in the data that can be decoded, once; None where nothing can be.

    Args:
        data: the bytes.
        joined: the same without line breaks; origins are positions in these.
        marks: where in `joined` one of `LAYER_MARKS` stands, ascending.
    """
    left = MAX_UNPACKED_BYTES
    truncated = False
    starts: list[int] = []
    origins: list[int] = []
    names: list[str] = []
    pieces: list[bytes] = []
    length = 0
    for origin, name, whole in _pieces(data, joined, list(marks)):
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


def open_run_start(data: bytes) -> int:
    """Where compressed bytes in base64 begin that the end of the data cuts; -1 for nowhere."""
    start = len(data.rstrip(_BASE64_CHARACTERS + b"\r\n"))
    places = (data.find(magic, start) for magic in (b"H4sI", b"QlpoO", b"eJ"))
    return min((place for place in places if place >= 0), default=-1)


def _pieces(
    data: bytes, joined: bytes, marks: list[tuple[int, bytes]]
) -> Iterator[tuple[int, str, bytes]]:
    escapes: dict[str, list[int]] = {}
    for place, mark in marks:
        if mark in _ESCAPE_OF:
            escapes.setdefault(_ESCAPE_OF[mark], []).append(place)
        elif mark not in _PACKED_MARKS:
            name = "base64" if mark in _BASE64_MARKS else "hex"
            yield from _packed_run(joined, place, name)
    for start, name, run in encoded_text(joined):
        yield start, name, _decoded(run, name)
    for name, places in escapes.items():
        yield from _unescaped(joined, name, places)
    wrapped = b"=\n" in data or b"=\r\n" in data
    if wrapped and ("quoted-printable" in escapes or _SOFT_BREAK.search(data)):
        yield 0, "quoted-printable", _from_quoted_printable(data)
    if any(mark in _PACKED_MARKS for _, mark in marks):
        yield from _compressed(data)


def _packed_run(joined: bytes, place: int, name: str) -> Iterator[tuple[int, str, bytes]]:
    characters = _BASE64_CHARACTERS if name == "base64" else _HEX_CHARACTERS
    end = run_around(joined, place, characters)
    if end - place >= _MIN_PACKED_RUN:
        yield place, name, _decoded(joined[place:end], name)


def _decoded(run: bytes, name: str) -> bytes:
    if name == "base64":
        return _from_base64(run)
    return binascii.unhexlify(run[: len(run) // 2 * 2])


def _compressed(data: bytes) -> Iterator[tuple[int, str, bytes]]:
    """In the bytes as they are: a line break is one of the bytes that count here."""
    for magic in _PACKED:
        place = data.find(magic)
        while place >= 0:
            unpacked = _unpacked(data, place)
            if unpacked:
                yield place - data.count(b"\n", 0, place), "compressed", unpacked
            place = data.find(magic, place + 1)


def _from_base64(run: bytes) -> bytes:
    """What a run stands for; characters at its end that make no byte are left out."""
    run = run.translate(_TO_STANDARD)
    over = len(run) % 4
    return base64.b64decode(run[:-1] if over == 1 else run + b"=" * (-len(run) % 4))


def _unescaped(data: bytes, name: str, places: Iterable[int]) -> Iterator[tuple[int, str, bytes]]:
    unescape = _UNESCAPERS.get(name)
    if unescape is None:
        return
    for start, end in _regions(data, places):
        region = data[start:end]
        text = unescape(region)
        if text != region:
            yield start, name, text


def _regions(data: bytes, places: Iterable[int]) -> Iterator[tuple[int, int]]:
    """The surroundings of the places; what they share stands in one region."""
    start = end = -1
    for place in places:
        if end < 0 or place - _REGION_BYTES > end:
            if end >= 0:
                yield start, min(end, len(data))
            start = max(place - _REGION_BYTES, 0)
        end = place + _REGION_BYTES
    if end >= 0:
        yield start, min(end, len(data))


def _from_json(text: bytes) -> bytes:
    if b"\\" not in text:
        return text

    def character(match: re.Match[bytes]) -> bytes:
        if match[1] or match[2]:
            code = int(match[1] or match[2], 16)
            return chr(code).encode("utf-8", "surrogatepass")
        return _JSON_LETTERS.get(match[3], match[3])

    return _JSON.sub(character, text)


def _from_xml(text: bytes) -> bytes:
    if b"&" not in text:
        return text
    return html.unescape(text.decode("utf-8", "surrogateescape")).encode("utf-8", "replace")


def _from_quoted_printable(text: bytes) -> bytes:
    return _QUOTED.sub(lambda match: bytes([int(match[1], 16)]) if match[1] else b"", text)


def _from_url(text: bytes) -> bytes:
    return unquote_to_bytes(text) if b"%" in text else text


_UNESCAPERS: dict[str, Callable[[bytes], bytes]] = {
    "url": _from_url,
    "json": _from_json,
    "xml": _from_xml,
    "quoted-printable": _from_quoted_printable,
}


def _unpacked(data: bytes, start: int) -> bytes:
    """What compressed bytes hold, as far as they are whole; nothing where they are none."""
    packed = data[start:]
    try:
        if packed.startswith(b"BZh"):
            return bz2.BZ2Decompressor().decompress(packed, MAX_UNPACKED_BYTES + 1)
        if packed.startswith(b"\xfd7z"):
            return lzma.LZMADecompressor().decompress(packed, MAX_UNPACKED_BYTES + 1)
        return zlib.decompressobj(wbits=47).decompress(packed, MAX_UNPACKED_BYTES + 1)
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        return b""
