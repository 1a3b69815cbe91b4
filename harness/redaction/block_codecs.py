"""Blocks of compressed bytes, unpacked as a stream: what Parquet's pages are packed with.

A block does not say how large it is inside; whoever has it does. Small ones are unpacked
at once; of larger ones no more is in memory than their compression looks back on.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator
from typing import IO

import cramjam

from harness.redaction.pieces import as_stream

if sys.version_info >= (3, 14):
    from compression.zstd import DecompressionParameter, ZstdDecompressor, ZstdError
else:
    from backports.zstd import DecompressionParameter, ZstdDecompressor, ZstdError

__all__ = ["CODECS", "UnpackError", "unpacked", "zstd_pieces"]

_AT_ONCE_BYTES = 8 * 1024 * 1024
_PIECE_BYTES = 256 * 1024
_ZSTD_WINDOW_LOG_MAX = 23  # 8 MiB, as of level 19
_GZIP_OR_ZLIB = 47
_WINDOW_BYTES = 64 * 1024  # Snappy's compressors look back so far; its format would allow more.
_ELEMENT_BYTES = 8  # of Snappy, without a literal's text: at most
_LONG_LITERAL = 60


class UnpackError(Exception):
    """A block cannot be unpacked; the message says why."""


def unpacked(codec: str, stream: IO[bytes], *, packed_bytes: int, size_bytes: int) -> IO[bytes]:
    """A stream of what a block holds, which raises UnpackError where the block is damaged.

    Args:
        codec: one of `CODECS`.
        stream: the block, to its end.
        packed_bytes: its length.
        size_bytes: the length of what it holds.
    """
    pieces = CODECS[codec](stream, packed_bytes, size_bytes)
    return as_stream(_of_length(pieces, size_bytes))


def zstd_pieces(stream: IO[bytes]) -> Iterator[bytes]:
    """What the frames of Zstandard in a stream hold.

    Raises:
        UnpackError: if they are damaged, or look back on more than 8 MiB.
    """
    options = {int(DecompressionParameter.window_log_max): _ZSTD_WINDOW_LOG_MAX}
    packed = stream.read(_PIECE_BYTES)
    try:
        while packed:
            frame = ZstdDecompressor(options=options)
            while not frame.eof:
                yield frame.decompress(packed, _PIECE_BYTES)
                packed = b""
                if frame.needs_input and not frame.eof:
                    packed = stream.read(_PIECE_BYTES)
                    if not packed:
                        raise UnpackError("it ends before its end")
            packed = frame.unused_data or stream.read(_PIECE_BYTES)
    except ZstdError as error:
        raise UnpackError(str(error)) from error


def _of_length(pieces: Iterator[bytes], size_bytes: int) -> Iterator[bytes]:
    """The pieces, if they are together as long as was said; a bomb ends there."""
    left = size_bytes
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            break
        yield piece
    if left:
        raise UnpackError("it is not as long as its header says")


def _stored(stream: IO[bytes], packed_bytes: int, size_bytes: int) -> Iterator[bytes]:
    del packed_bytes, size_bytes
    while piece := stream.read(_PIECE_BYTES):
        yield piece


def _gzip(stream: IO[bytes], packed_bytes: int, size_bytes: int) -> Iterator[bytes]:
    del packed_bytes, size_bytes
    packed = stream.read(_PIECE_BYTES)
    try:
        while packed:
            member = zlib.decompressobj(_GZIP_OR_ZLIB)
            while not member.eof:
                yield member.decompress(packed, _PIECE_BYTES)
                packed = member.unconsumed_tail or stream.read(_PIECE_BYTES)
                if not packed and not member.eof:
                    yield member.flush()
                    break
            packed = member.unused_data + packed if member.eof else b""
    except zlib.error as error:
        raise UnpackError(str(error)) from error


def _zstd(stream: IO[bytes], packed_bytes: int, size_bytes: int) -> Iterator[bytes]:
    del packed_bytes, size_bytes
    return zstd_pieces(stream)


def _brotli(stream: IO[bytes], packed_bytes: int, size_bytes: int) -> Iterator[bytes]:
    return _at_once(cramjam.brotli.decompress_into, stream, packed_bytes, size_bytes)


def _lz4(stream: IO[bytes], packed_bytes: int, size_bytes: int) -> Iterator[bytes]:
    return _at_once(cramjam.lz4.decompress_block_into, stream, packed_bytes, size_bytes)


def _snappy(stream: IO[bytes], packed_bytes: int, size_bytes: int) -> Iterator[bytes]:
    if max(packed_bytes, size_bytes) <= _AT_ONCE_BYTES:
        return _at_once(cramjam.snappy.decompress_raw_into, stream, packed_bytes, size_bytes)
    return _large_snappy(stream)


def _at_once(
    decompress: Callable[[bytes, bytearray], int],
    stream: IO[bytes],
    packed_bytes: int,
    size_bytes: int,
) -> Iterator[bytes]:
    """Into no more memory than what was said to be in it."""
    if max(packed_bytes, size_bytes) > _AT_ONCE_BYTES:
        raise UnpackError(f"more than {_AT_ONCE_BYTES >> 20} MiB in one block of this compression")
    data = bytearray(size_bytes)
    try:
        size = decompress(stream.read(packed_bytes), data)
    except (cramjam.DecompressionError, OSError, ValueError) as error:
        raise UnpackError(str(error)) from error
    for start in range(0, size, _PIECE_BYTES):
        yield bytes(data[start : min(start + _PIECE_BYTES, size)])


def _large_snappy(stream: IO[bytes]) -> Iterator[bytes]:
    try:
        yield from _of_elements(stream)
    except IndexError:
        raise UnpackError("it ends before its end") from None


def _of_elements(stream: IO[bytes]) -> Iterator[bytes]:  # noqa: C901, PLR0912 - a loop over every element, where each call would cost a third of its time
    """Element by element: texts, and copies of what stood shortly before.

    Source: google/snappy format_description.txt.
    """
    data, position = stream.read(_PIECE_BYTES), 0
    while data[position] & 0x80:
        position += 1
    position += 1
    done = bytearray()
    left = 0  # of a text
    while True:
        if len(done) >= _PIECE_BYTES + _WINDOW_BYTES:
            yield bytes(done[:-_WINDOW_BYTES])
            del done[:-_WINDOW_BYTES]
        if left:
            text = data[position : position + left] or stream.read(min(left, _PIECE_BYTES))
            if not text:
                raise IndexError
            done += text
            position += len(text)
            left -= len(text)
            continue
        if len(data) - position < _ELEMENT_BYTES:
            data, position = data[position:] + stream.read(_PIECE_BYTES), 0
            if not data:
                break
        tag = data[position]
        kind = tag & 3
        position += 1
        if not kind:
            left = (tag >> 2) + 1
            if left > _LONG_LITERAL:
                after = position + left - _LONG_LITERAL
                left, position = int.from_bytes(data[position:after], "little") + 1, after
            continue
        if kind == 1:
            offset, length = (tag >> 5) << 8 | data[position], (tag >> 2 & 7) + 4
            position += 1
        else:
            after = position + 2 * kind - 2
            offset, length = int.from_bytes(data[position:after], "little"), (tag >> 2) + 1
            position = after
        start = len(done) - offset
        if start < 0 or not offset:
            raise UnpackError("it looks back on what is no longer there")
        if offset >= length:
            done += done[start : start + length]
        else:
            done += (done[start:] * (length // offset + 1))[:length]
    yield bytes(done)


CODECS: dict[str, Callable[..., Iterator[bytes]]] = {
    "uncompressed": _stored,
    "snappy": _snappy,
    "gzip": _gzip,
    "brotli": _brotli,
    "zstd": _zstd,
    "lz4": _lz4,
}
