"""What is inside compressed files and archives, one member after the other.

Everything is read as a stream and charged to a budget, so that neither a bomb nor
an archive in an archive without end takes more memory or time than it may.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import IO, Protocol

from harness.redaction.block_codecs import UnpackError, zstd_pieces
from harness.redaction.pieces import as_file, as_stream

__all__ = [
    "HEAD_BYTES",
    "Budget",
    "BudgetExceededError",
    "UnreadableArchiveError",
    "archive_kind",
    "members",
]

HEAD_BYTES = 512
_MEMBER_COST_BYTES = 1024  # Also an archive of empty members ends.
_TAR_MAGIC_AT, _DUCKDB_MAGIC_AT = 257, 8
_BZIP2 = re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")
_ZLIB = re.compile(rb"x[\x01\x5e\x9c\xda]")
_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "rar",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x02\x21\x4c\x18": "lz4",
    b"\x1f\x9d": "compress",
    b"LZIP\x01": "lzip",
    b"\x89LZO\0\r\n\x1a\n": "lzop",
    b"\x5d\0\0": "lzma",
    b"\xff\x06\0\0sNaPpY": "snappy",
    b"MSCF\0\0\0\0": "cabinet",
    b"!<arch>\ndebian-binary": "Debian package",
    b"\xed\xab\xee\xdb": "RPM package",
    b"ARROW1\0\0": "Arrow",
    b"\x89HDF\r\n\x1a\n": "HDF5",
}
# Of these the first bytes could be a text's, or say nothing of compression.
_MAGIC_OF_BINARY = {b"hsqs": "squashfs", b"ORC": "ORC"}
_AVRO = re.compile(rb"Obj\x01.{0,400}avro\.codec(?!\x08null)", re.DOTALL)
# LZMA keeps as much of what it has unpacked in memory as its header says, at most this much here.
_MAX_LZMA_BYTES = 32 * 1024 * 1024
_LZMA_BESIDES_BYTES = 2 * 1024 * 1024
_PIECE_BYTES = 64 * 1024


class BudgetExceededError(Exception):
    """An archive holds more than may be read of it."""


class UnreadableArchiveError(Exception):
    """An archive, or a member of it, cannot be read; the message says why."""


@dataclass(slots=True)
class Budget:
    """How many bytes may still be unpacked from one file."""

    left_bytes: int

    def charge(self, size_bytes: int) -> None:
        """Takes from the budget.

        Raises:
            BudgetExceededError: if it is used up.
        """
        self.left_bytes -= size_bytes
        if self.left_bytes < 0:
            raise BudgetExceededError


class _Readable(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


class _Charged(io.RawIOBase):
    """A stream whose bytes are charged to a budget as they are read."""

    def __init__(self, stream: _Readable, budget: Budget) -> None:
        self._stream = stream
        self._budget = budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # any buffer will do
        try:
            data = self._stream.read(len(buffer))
        except _DAMAGE as error:
            raise UnreadableArchiveError(f"damaged or encrypted: {error}") from error
        self._budget.charge(len(data))
        buffer[: len(data)] = data
        return len(data)


def archive_kind(head: bytes, name: str = "") -> str | None:
    """The format by its first 512 bytes, brotli's by its name; None for what is no archive."""
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    if _BZIP2.match(head):
        return "bzip2"
    if _ZLIB.match(head) and _inflates(head):
        return "zlib"
    if head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar":
        return "tar"
    return None if _is_text(head) else _kind_of_binary(head, name)


def _kind_of_binary(head: bytes, name: str) -> str | None:
    for magic, kind in _MAGIC_OF_BINARY.items():
        if head.startswith(magic):
            return kind
    if head[_DUCKDB_MAGIC_AT:].startswith(b"DUCK"):
        return "DuckDB"
    if _AVRO.match(head):
        return "Avro"
    return "brotli" if name.endswith(".br") else None


def _is_text(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return b"\0" not in head


def _inflates(head: bytes) -> bool:
    """Two bytes alone could be a text's."""
    try:
        return bool(zlib.decompressobj().decompress(head, 64))
    except zlib.error:
        return False


def members(
    kind: str, stream: IO[bytes], budget: Budget
) -> Iterator[tuple[str, io.BufferedReader]]:
    """The members of an archive, each with its name and its content as a stream.

    A member must be read before the next one is asked for. A compressed file has one
    member without a name.

    Raises:
        BudgetExceededError: if more would be unpacked than the budget allows.
        UnreadableArchiveError: if the archive is damaged, encrypted or of a kind that
            is not unpacked here. Members before the damage have been yielded.
    """
    try:
        yield from _READERS.get(kind, _no_reader(kind))(stream, budget)
    except _DAMAGE as error:
        raise UnreadableArchiveError(f"damaged or encrypted {kind}: {error}") from error


def _no_reader(kind: str) -> Callable[[IO[bytes], Budget], Iterator[tuple[str, io.BufferedReader]]]:
    def refuse(stream: IO[bytes], budget: Budget) -> Iterator[tuple[str, io.BufferedReader]]:
        del stream, budget
        raise UnreadableArchiveError(f"{kind} is not unpacked here")
        yield

    return refuse


def _gzip(stream: IO[bytes], budget: Budget) -> Iterator[tuple[str, io.BufferedReader]]:
    with gzip.GzipFile(fileobj=stream, mode="rb") as content:
        yield "", _buffered(content, budget)


class _Inflated(io.RawIOBase):
    """A zlib stream's content."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._inflater = zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # any buffer will do
        data = b""
        while not data and not self._inflater.eof:
            packed = self._inflater.unconsumed_tail or self._stream.read(64 * 1024)
            if not packed:
                raise EOFError("it ends before its end")
            data = self._inflater.decompress(packed, len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _zlib(stream: IO[bytes], budget: Budget) -> Iterator[tuple[str, io.BufferedReader]]:
    yield "", _buffered(_Inflated(stream), budget)


def _bzip2(stream: IO[bytes], budget: Budget) -> Iterator[tuple[str, io.BufferedReader]]:
    with bz2.BZ2File(stream) as content:
        yield "", _buffered(content, budget)


def _xz(stream: IO[bytes], budget: Budget) -> Iterator[tuple[str, io.BufferedReader]]:
    yield "", _buffered(as_stream(_xz_pieces(stream)), budget)


def _xz_pieces(stream: IO[bytes]) -> Iterator[bytes]:
    packed = stream.read(_PIECE_BYTES)
    while packed:
        limited = lzma.LZMADecompressor(memlimit=_MAX_LZMA_BYTES + _LZMA_BESIDES_BYTES)
        left = None
        try:
            pieces = limited.decompress(packed, _PIECE_BYTES)
        except lzma.LZMAError:
            # It may say that it needs much, and hold little: memory is taken as it is filled.
            limited, left = lzma.LZMADecompressor(), _MAX_LZMA_BYTES
            pieces = limited.decompress(packed, _PIECE_BYTES)
        yield pieces
        while not limited.eof:
            packed = stream.read(_PIECE_BYTES) if limited.needs_input else b""
            if limited.needs_input and not packed:
                raise EOFError("it ends before its end")
            piece = limited.decompress(packed, _PIECE_BYTES)
            left = left if left is None else left - len(piece)
            if left is not None and left < 0:
                raise UnreadableArchiveError(_TOO_MUCH_MEMORY)
            yield piece
        packed = limited.unused_data.lstrip(b"\0") or stream.read(_PIECE_BYTES).lstrip(b"\0")


def _zstd(stream: IO[bytes], budget: Budget) -> Iterator[tuple[str, io.BufferedReader]]:
    yield "", _buffered(as_stream(zstd_pieces(stream)), budget)


def _tar(stream: IO[bytes], budget: Budget) -> Iterator[tuple[str, io.BufferedReader]]:
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            budget.charge(_MEMBER_COST_BYTES)
            content = archive.extractfile(member) if member.isfile() else None
            yield member.name, _buffered(content or io.BytesIO(member.linkname.encode()), budget)


def _zip(stream: IO[bytes], budget: Budget) -> Iterator[tuple[str, io.BufferedReader]]:
    with (
        nullcontext(stream) if stream.seekable() else as_file(stream) as whole,
        zipfile.ZipFile(whole) as archive,
    ):
        for member in archive.infolist():
            budget.charge(_MEMBER_COST_BYTES)
            if member.is_dir():
                continue
            if member.compress_type == zipfile.ZIP_LZMA and member.file_size > _MAX_LZMA_BYTES:
                raise UnreadableArchiveError(_TOO_MUCH_MEMORY)
            with archive.open(member) as content:
                yield member.filename, _buffered(content, budget)


def _buffered(stream: _Readable, budget: Budget) -> io.BufferedReader:
    return io.BufferedReader(_Charged(stream, budget), buffer_size=64 * 1024)


_READERS: dict[str, Callable[[IO[bytes], Budget], Iterator[tuple[str, io.BufferedReader]]]] = {
    "gzip": _gzip,
    "bzip2": _bzip2,
    "xz": _xz,
    "tar": _tar,
    "zip": _zip,
    "zlib": _zlib,
    "zstd": _zstd,
    "lzma": _xz,
}
_TOO_MUCH_MEMORY = f"LZMA that needs more than {_MAX_LZMA_BYTES >> 20} MiB of memory"
_DAMAGE = (
    UnpackError,
    EOFError,
    OSError,  # gzip.BadGzipFile among them
    RuntimeError,  # zipfile, for a member with a password
    NotImplementedError,  # zipfile, for a compression that it does not know
    ValueError,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
)
