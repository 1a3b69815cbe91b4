"""Bytes that arrive in pieces of any size, to be read like a file, until no more can be made."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

__all__ = ["UnreadableViewError", "as_file", "as_stream"]

_BUFFER_BYTES = 64 * 1024
_COPIED_BYTES = 1024 * 1024


class UnreadableViewError(Exception):
    """A file is not what its first bytes say, or not to be read here; the message says why."""


class _Pieces(io.RawIOBase):
    """The pieces one after the other; what making them raises comes out of a read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # any buffer will do
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def as_stream(pieces: Iterator[bytes]) -> IO[bytes]:
    """A stream of them, which never gives less than is asked for before its end."""
    return cast("IO[bytes]", io.BufferedReader(_Pieces(pieces), _BUFFER_BYTES))


@contextmanager
def as_file(stream: IO[bytes]) -> Iterator[IO[bytes]]:
    """The stream if it is a file; else a temporary file with what is left of it.

    The temporary one can be read by its owner alone, and is deleted at the end.
    """
    try:
        stream.fileno()
    except OSError:  # of a stream that is no file
        with tempfile.NamedTemporaryFile(prefix="scanned-") as copy:
            shutil.copyfileobj(stream, copy, _COPIED_BYTES)
            copy.flush()
            copy.seek(0)
            yield copy
    else:
        yield stream
