"""Compressed bytes in the middle of others: found by how they begin, unpacked as far as they go.

That covers gzip, zlib, bzip2, xz and the members of a zip, as they are and in base64 or
hexadecimal digits. Of zstd and brotli nothing is unpacked.
"""

from __future__ import annotations

import bz2
import lzma
import re
import string
import struct
import zlib
from collections.abc import Iterator

from harness.redaction.matcher import Matcher
from harness.redaction.sighting import Mark

__all__ = [
    "BASE64_CHARACTERS",
    "HEX_CHARACTERS",
    "MAX_UNPACKED_BYTES",
    "PACKED_MARKS",
    "begins_compressed",
    "compressed",
    "open_run_start",
]

MAX_UNPACKED_BYTES = 8 * 1024 * 1024  # from one level of one block
BASE64_CHARACTERS = string.ascii_letters.encode() + string.digits.encode() + b"+/-_"
HEX_CHARACTERS = string.hexdigits.encode()
_ZLIB_SECOND = rb"[\x01\x5e\x9c\xda]"  # of each level
_BEGINNINGS = (
    rb"\x1f\x8b\x08",
    rb"\x78" + _ZLIB_SECOND,
    rb"BZh[1-9]1AY&SY",
    rb"\xfd7zXZ\x00",
    rb"PK\x03\x04",
)
_ZLIB = re.compile(rb"\x78" + _ZLIB_SECOND)
_BEGINNING = re.compile(b"|".join(_BEGINNINGS), re.DOTALL)
# With their lengths.
_IN_BASE64 = {
    rb"H4sI": 4,
    rb"e(?:J[wxyz]|N[opqr]|A[EF]|F[4567])": 3,
    rb"Qlpo[MNO][A-Za-z]FBWSZT": 12,
    rb"[/_]Td6WFo": 7,
    rb"UEsDB": 5,
}
_IN_HEX = {
    rb"1[fF]8[bB]08": 6,
    rb"78(?:9[cC]|[dD][aA]|01|5[eE])": 4,
    rb"425[aA]683[1-9]314159": 14,
    rb"[fF][dD]377[aA]585[aA]00": 12,
    rb"504[bB]0304": 8,
}
PACKED_MARKS = (
    *(Mark(name="packed", expression=expression, once=True) for expression in _BEGINNINGS),
    *(
        Mark(name="packed in base64", expression=expression, length=length)
        for expression, length in _IN_BASE64.items()
    ),
    *(
        Mark(name="packed in hex", expression=expression, length=length)
        for expression, length in _IN_HEX.items()
    ),
)
_OPEN_LENGTHS = (*_IN_BASE64.values(), *_IN_HEX.values())
_OPEN = Matcher((*_IN_BASE64, *_IN_HEX))
_ZIP_HEADER = struct.Struct("<4xHHHHHIIIHH")
_DEFLATED = 8


def compressed(data: bytes) -> Iterator[tuple[int, bytes]]:
    """What compressed bytes hold, with where they begin; what is damaged, as far as it goes.

    Args:
        data: the bytes as they are: a line break is one of those that count here.
    """
    for match in _BEGINNING.finditer(data):
        unpacked = _unpacked(data, match.start(), match[0][:2])
        if unpacked:
            yield match.start(), unpacked


def begins_compressed(head: bytes) -> bool:
    """Whether bytes that begin like compressed ones go on as such: three may do so by chance."""
    try:
        if _ZLIB.match(head) or head.startswith(b"\x1f\x8b"):
            zlib.decompressobj(wbits=47).decompress(head)
    except zlib.error:
        return False
    return _BEGINNING.match(head) is not None


def open_run_start(data: bytes) -> int:
    """Where compressed bytes in base64 or digits begin that the end cuts; -1 for nowhere."""
    start = len(data.rstrip(BASE64_CHARACTERS + b"\r\n"))
    found = _OPEN.ends(data[start:])
    return start + min((end - _OPEN_LENGTHS[n] for end, n in found), default=-1 - start)


def _unpacked(data: bytes, start: int, magic: bytes) -> bytes:
    limit = MAX_UNPACKED_BYTES + 1
    packed = memoryview(data)[start:]
    try:
        if magic == b"BZ":
            return bz2.BZ2Decompressor().decompress(packed, limit)
        if magic == b"\xfd7":
            return lzma.LZMADecompressor().decompress(packed, limit)
        if magic == b"PK":
            return _of_zip(packed, limit)
        return zlib.decompressobj(wbits=47).decompress(packed, limit)
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        return b""


def _of_zip(packed: memoryview, limit: int) -> bytes:
    """One member; what is stored uncompressed is seen without any help."""
    if len(packed) < _ZIP_HEADER.size:
        return b""
    _, _, method, *_, name_bytes, extra_bytes = _ZIP_HEADER.unpack_from(packed)
    if method != _DEFLATED:
        return b""
    content = packed[_ZIP_HEADER.size + name_bytes + extra_bytes :]
    return zlib.decompressobj(wbits=-15).decompress(content, limit)
