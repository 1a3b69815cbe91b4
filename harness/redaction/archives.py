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
from dataclasses import dataclass
from typing import IO, Protocol

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
_MAX_ZIP_IN_MEMORY_BYTES = 32 * 1024 * 1024
_TAR_MAGIC_AT = 257
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
}


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
    return "brotli" if name.endswith(".br") and not _is_text(head) else None


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
    with lzma.LZMAFile(stream) as content:
        yield "", _buffered(content, budget)


def _tar(stream: IO[bytes], budget: Budget) -> Iterator[tuple[str, io.BufferedReader]]:
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            budget.charge(_MEMBER_COST_BYTES)
            content = archive.extractfile(member) if member.isfile() else None
            yield member.name, _buffered(content or io.BytesIO(member.linkname.encode()), budget)


def _zip(stream: IO[bytes], budget: Budget) -> Iterator[tuple[str, io.BufferedReader]]:
    if not stream.seekable():
        packed = stream.read(_MAX_ZIP_IN_MEMORY_BYTES + 1)
        if len(packed) > _MAX_ZIP_IN_MEMORY_BYTES:
            raise BudgetExceededError
        stream = io.BytesIO(packed)
    with zipfile.ZipFile(stream) as archive:
        for member in archive.infolist():
            budget.charge(_MEMBER_COST_BYTES)
            if not member.is_dir():
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
}
_DAMAGE = (
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
