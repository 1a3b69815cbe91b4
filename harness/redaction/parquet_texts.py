"""What stands in the columns of a Parquet file, as text: a stream for each MiB of a column.

Values stand one in a line, numbers and UUIDs as people write them; of a dictionary
each value stands there once. A value is in one stream, however long it is, but no
more is held of it than the piece that is being read.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import islice
from typing import IO
from uuid import UUID

from harness.redaction.block_codecs import UnpackError
from harness.redaction.delta_encoding import differences
from harness.redaction.parquet_metadata import Chunk, Column, Physical, chunks
from harness.redaction.parquet_pages import Encoding, Page, pages
from harness.redaction.pieces import UnreadableViewError, as_stream
from harness.redaction.thrift_compact import MalformedError

__all__ = ["parquet_texts"]

_PORTION_BYTES = 1024 * 1024
_PIECE_BYTES = 256 * 1024
_BORDER = b""  # stands where one value has ended and the next one has not begun
_LENGTH_BYTES = 4
_LENGTH = struct.Struct("<I")
_MAX_LENGTHS = 4 * 1024 * 1024  # of texts in one page, that stand before all of them
_MAX_TOGETHER_BYTES = 8 * 1024 * 1024  # of numbers in one page whose bytes are apart
_MAX_FIXED_BYTES = 64 * 1024
_MAX_BUILT_BYTES = 1024 * 1024  # of a text that begins as the one before it
_FORMATS = {
    Physical.INT32: "i",
    Physical.INT64: "q",
    Physical.FLOAT: "f",
    Physical.DOUBLE: "d",
}


def parquet_texts(stream: IO[bytes], *, limit_bytes: int) -> Iterator[tuple[str, IO[bytes]]]:
    """For each column of each row group its name and streams of its values.

    Args:
        stream: an open file.
        limit_bytes: how much may be unpacked from it.

    Raises:
        UnreadableViewError: if the file is damaged or encrypted; reading a stream raises
            the same where this column is, or where the limit is reached.
    """
    descriptor = stream.fileno()
    left = limit_bytes

    def within_limit(chunk: Chunk) -> Iterator[bytes]:
        nonlocal left
        try:
            for page in pages(descriptor, chunk):
                for piece in _of_page(page, chunk.column):
                    left -= len(piece)
                    if left < 0:
                        raise UnreadableViewError(_too_much(limit_bytes))
                    yield piece
        except (MalformedError, UnpackError) as error:
            raise UnreadableViewError(f"damaged Parquet: {error}") from error

    try:
        for chunk in chunks(descriptor):
            portions = _Portions(within_limit(chunk))
            while not portions.ended:
                yield portions.name_of_next(chunk), as_stream(portions.following())
    except MalformedError as error:
        raise UnreadableViewError(f"damaged Parquet: {error}") from error


class _Portions:
    """Pieces in groups that begin and end at a value's border."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._number = 0
        self.ended = False

    def name_of_next(self, chunk: Chunk) -> str:
        self._number += 1
        which = f", part {self._number}" if self._number > 1 else ""
        return f"column {chunk.column.name} from row {chunk.first_row}{which}"

    def following(self) -> Iterator[bytes]:
        self.ended, size = True, 0
        for piece in self._pieces:
            yield piece
            size += len(piece)
            if size >= _PORTION_BYTES and piece == _BORDER:
                self.ended = False
                return


def _too_much(limit_bytes: int) -> str:
    return f"holds more than {limit_bytes >> 20} MiB unpacked"


def _of_page(page: Page, column: Column) -> Iterator[bytes]:
    if column.physical is Physical.BOOLEAN:
        return
    match page.encoding, column.physical:
        case Encoding.PLAIN, Physical.BYTE_ARRAY:
            yield from _texts(page.content, column)
        case Encoding.PLAIN, _:
            yield from _fixed(page.content, column)
        case Encoding.BYTE_STREAM_SPLIT, physical if physical is not Physical.BYTE_ARRAY:
            yield from _fixed(as_stream(iter((_together(page.content, column),))), column)
        case Encoding.DELTA_BINARY_PACKED, Physical.INT32 | Physical.INT64:
            numbers = differences(page.content, bits=8 * column.width_bytes)
            while some := list(islice(numbers, _PIECE_BYTES // 8)):
                yield _lines(some, column)
                yield _BORDER
        case Encoding.DELTA_LENGTH_BYTE_ARRAY, Physical.BYTE_ARRAY:
            yield from _after_lengths(page.content, _lengths(page))
        case Encoding.DELTA_BYTE_ARRAY, Physical.BYTE_ARRAY | Physical.FIXED:
            yield from _built(page, column)
        case encoding, physical:
            raise UnreadableViewError(f"Parquet with {physical.name} in {encoding.name}")


def _texts(content: IO[bytes], column: Column) -> Iterator[bytes]:
    """Each has its length before it; one that is very long passes in pieces."""
    data = b""
    while piece := content.read(_PIECE_BYTES):
        data += piece
        start, cells = 0, []
        while (begin := start + _LENGTH_BYTES) <= len(data):
            end = begin + _LENGTH.unpack_from(data, start)[0]
            if end > len(data):
                break
            cells.append(data[begin:end])
            start = end
        if cells:
            yield _joined(cells, column)
            yield _BORDER
        data = data[start:]
        if len(data) >= _LENGTH_BYTES:
            left = int.from_bytes(data[:_LENGTH_BYTES], "little") + _LENGTH_BYTES - len(data)
            if left > _PIECE_BYTES:
                yield data[_LENGTH_BYTES:]
                yield from _exactly(content, left)
                yield b"\n"
                yield _BORDER
                data = b""
    if data:
        raise MalformedError("a text that ends outside its page")


def _fixed(content: IO[bytes], column: Column) -> Iterator[bytes]:
    width = column.width_bytes
    if width > _MAX_FIXED_BYTES:
        while piece := content.read(_PIECE_BYTES):
            yield piece
        return
    while piece := content.read(_PIECE_BYTES // width * width):
        if len(piece) % width:
            raise MalformedError("a value that ends outside its page")
        if column.physical in _FORMATS:
            code = _FORMATS[column.physical]
            yield _lines(array(code.upper() if column.unsigned else code, piece), column)
        else:
            cells = [piece[start : start + width] for start in range(0, len(piece), width)]
            yield _joined(cells, column)
        yield _BORDER


def _together(content: IO[bytes], column: Column) -> bytes:
    """Values whose first bytes stand first, then all of the second ones, and so on."""
    data = content.read(_MAX_TOGETHER_BYTES + 1)
    width = column.width_bytes
    if len(data) > _MAX_TOGETHER_BYTES:
        raise UnreadableViewError("Parquet with more than 8 MiB of numbers in parts, in a page")
    if len(data) % width:
        raise MalformedError("a value that ends outside its page")
    values = bytearray(len(data))
    count = len(data) // width
    for place in range(width):
        values[place::width] = data[place * count : (place + 1) * count]
    return bytes(values)


def _lengths(page: Page) -> array[int]:
    lengths = array("I")
    for length in differences(page.content, bits=32):
        if length < 0:
            raise MalformedError(f"a text of {length} bytes")
        if len(lengths) == _MAX_LENGTHS:
            raise UnreadableViewError(f"Parquet with more than {_MAX_LENGTHS} texts in a page")
        lengths.append(length)
    return lengths


def _after_lengths(content: IO[bytes], lengths: Iterable[int]) -> Iterator[bytes]:
    for length in lengths:
        yield from _exactly(content, length)
        yield b"\n"
        yield _BORDER


def _built(page: Page, column: Column) -> Iterator[bytes]:
    """Of each text only what differs from the one before it is there."""
    kept, added = _lengths(page), _lengths(page)
    text = b""
    for start, length in zip(kept, added, strict=False):
        if start > len(text) or start + length > _MAX_BUILT_BYTES:
            raise UnreadableViewError(f"Parquet with a text of {start + length} bytes in parts")
        text = text[:start] + b"".join(_exactly(page.content, length))
        yield _joined([text], column)
        yield _BORDER


def _exactly(content: IO[bytes], size_bytes: int) -> Iterator[bytes]:
    while size_bytes > 0:
        piece = content.read(min(size_bytes, _PIECE_BYTES))
        if not piece:
            raise MalformedError("a text that ends outside its page")
        size_bytes -= len(piece)
        yield piece


def _joined(cells: list[bytes], column: Column) -> bytes:
    if column.uuid:
        return b"".join(b"%s\n" % str(UUID(bytes=cell)).encode() for cell in cells)
    if column.scale is not None:
        return _lines([int.from_bytes(cell, "big", signed=True) for cell in cells], column)
    return b"\n".join((*cells, b""))


def _lines(numbers: Sequence[float | Decimal], column: Column) -> bytes:
    if column.scale:
        numbers = [Decimal(number).scaleb(-column.scale) for number in numbers]
    return "\n".join((*map(str, numbers), "")).encode()
