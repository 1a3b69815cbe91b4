"""The pages of a Parquet column, one after the other, unpacked as they are read.

Source: apache/parquet-format README.md and src/main/thrift/parquet.thrift.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import IO

from harness.redaction.block_codecs import CODECS, unpacked
from harness.redaction.parquet_metadata import Chunk, section
from harness.redaction.pieces import UnreadableViewError
from harness.redaction.thrift_compact import MalformedError, ThriftReader

__all__ = ["Encoding", "Page", "pages"]

_LEVELS_LENGTH_BYTES = 4
_PIECE_BYTES = 64 * 1024


class Encoding(IntEnum):
    """How a page's values are written; its number is that of the format."""

    PLAIN = 0
    PLAIN_DICTIONARY = 2
    RLE = 3
    BIT_PACKED = 4
    DELTA_BINARY_PACKED = 5
    DELTA_LENGTH_BYTE_ARRAY = 6
    DELTA_BYTE_ARRAY = 7
    RLE_DICTIONARY = 8
    BYTE_STREAM_SPLIT = 9


class _Kind(IntEnum):
    DATA = 0
    INDEX = 1
    DICTIONARY = 2
    DATA_V2 = 3


_DATA = frozenset({_Kind.DATA, _Kind.DATA_V2})
_OF_DICTIONARY = frozenset({Encoding.RLE_DICTIONARY, Encoding.PLAIN_DICTIONARY})
# Where in a header the part stands that is of this kind of page.
_PARTS = {5: _Kind.DATA, 7: _Kind.DICTIONARY, 8: _Kind.DATA_V2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page's values.

    Attributes:
        encoding: how they are written.
        content: they, from the first one on.
    """

    encoding: Encoding
    content: IO[bytes]


@dataclass(slots=True)
class _Header:
    kind: int = -1
    size_bytes: int = 0
    packed_bytes: int = 0
    values: int = 0
    encoding: int = 0
    definition_encoding: int = Encoding.RLE
    repetition_encoding: int = Encoding.RLE
    levels_bytes: int = 0
    packed: bool = True


def pages(descriptor: int, chunk: Chunk) -> Iterator[Page]:
    """A column's pages that hold values.

    A page must be read before the next one is asked for. Pages that refer to the
    dictionary hold none, and are passed over.

    Raises:
        MalformedError: if they are damaged.
        UnreadableViewError: if they are encrypted, or of a kind that is not read here.
    """
    if chunk.encrypted:
        raise UnreadableViewError("an encrypted column of Parquet")
    if chunk.elsewhere:
        raise UnreadableViewError("a column of Parquet in another file")
    if chunk.codec not in CODECS:
        raise UnreadableViewError(f"Parquet packed with {chunk.codec}, not unpacked here")
    left, dictionary = chunk.values, False
    for header, content in _raw(descriptor, chunk):
        refers = header.kind in _DATA and header.encoding in _OF_DICTIONARY
        if refers and header.values and not dictionary:
            raise MalformedError("a page refers to a dictionary that is not there")
        dictionary = dictionary or header.kind == _Kind.DICTIONARY
        left -= header.values if header.kind in _DATA else 0
        if not refers and header.kind != _Kind.INDEX:
            values = _values(content, header, chunk)
            yield Page(encoding=_encoding(header), content=values)
        if left <= 0:
            break
    if left:
        raise MalformedError("pages that hold more values or fewer than their column")


def _raw(descriptor: int, chunk: Chunk) -> Iterator[tuple[_Header, IO[bytes]]]:
    """The headers of all pages, and what follows each of them."""
    position, end = chunk.start, chunk.start + chunk.size_bytes
    while position < end:
        reader = ThriftReader(section(descriptor, position, end))
        header = _header(reader)
        start = position + reader.taken_bytes
        position = start + header.packed_bytes
        if min(header.packed_bytes, header.size_bytes, header.values) < 0 or position > end:
            raise MalformedError("a page that ends outside its column")
        yield header, section(descriptor, start, position)


def _encoding(header: _Header) -> Encoding:
    if header.kind == _Kind.DICTIONARY:
        return Encoding.PLAIN  # whatever it is called
    try:
        return Encoding(header.encoding)
    except ValueError:
        reason = f"Parquet in the encoding {header.encoding}, not read here"
        raise UnreadableViewError(reason) from None


def _header(reader: ThriftReader) -> _Header:
    header = _Header()
    for number, kind in reader.fields():
        if number == 1:
            header.kind = reader.integer(kind)
        elif number == 2:  # noqa: PLR2004 - of the length
            header.size_bytes = reader.integer(kind)
        elif number == 3:  # noqa: PLR2004 - of the packed length
            header.packed_bytes = reader.integer(kind)
        elif number in _PARTS:
            _part(reader, header, _PARTS[number])
        else:
            reader.skip(kind)
    if header.kind not in set(_Kind):
        raise MalformedError(f"a page of the kind {header.kind}")
    return header


def _part(reader: ThriftReader, header: _Header, of: _Kind) -> None:
    for number, kind in reader.fields():
        match of, number:
            case _, 1:
                header.values = reader.integer(kind)
            case (_Kind.DATA | _Kind.DICTIONARY, 2) | (_Kind.DATA_V2, 4):
                header.encoding = reader.integer(kind)
            case _Kind.DATA, 3:
                header.definition_encoding = reader.integer(kind)
            case _Kind.DATA, 4:
                header.repetition_encoding = reader.integer(kind)
            case _Kind.DATA_V2, 5 | 6:
                header.levels_bytes += reader.integer(kind)
            case _Kind.DATA_V2, 7:
                header.packed = kind is kind.TRUE
            case _:
                reader.skip(kind)


def _values(stream: IO[bytes], header: _Header, chunk: Chunk) -> IO[bytes]:
    """The values, without the levels in front of them."""
    levels_bytes = header.levels_bytes
    if levels_bytes:
        _pass(stream, levels_bytes)
    size_bytes = header.size_bytes - levels_bytes
    packed_bytes = header.packed_bytes - levels_bytes
    codec = chunk.codec if header.packed and size_bytes else "uncompressed"
    content = unpacked(codec, stream, packed_bytes=packed_bytes, size_bytes=size_bytes)
    if header.kind == _Kind.DATA:
        column = chunk.column
        _pass_levels(content, column.repetition_max, header.repetition_encoding, header.values)
        _pass_levels(content, column.definition_max, header.definition_encoding, header.values)
    return content


def _pass_levels(content: IO[bytes], highest: int, encoding: int, values: int) -> None:
    if not highest:
        return
    if encoding == Encoding.BIT_PACKED:
        _pass(content, (values * highest.bit_length() + 7) // 8)
    elif encoding == Encoding.RLE:
        _pass(content, int.from_bytes(content.read(_LEVELS_LENGTH_BYTES), "little"))
    else:
        raise MalformedError(f"levels in the encoding {encoding}")


def _pass(stream: IO[bytes], size_bytes: int) -> None:
    while size_bytes > 0:
        piece = stream.read(min(size_bytes, _PIECE_BYTES))
        if not piece:
            raise MalformedError("a page that ends before its values")
        size_bytes -= len(piece)
