"""Captures what a process writes, with a bound and without deadlock.

One thread reads every stream of a process as fast as it is written. What goes
beyond the bound is counted and left out of the middle, so that the beginning
and the end of a long output are kept.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import IO, Self

__all__ = ["STREAM_LIMIT_BYTES", "BoundedText", "StreamCapture"]

STREAM_LIMIT_BYTES = 16 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024


class BoundedText:
    """Bytes of a stream: its beginning, its end, and how much lies between.

    Args:
        limit_bytes: how much is kept, half of it for each end.
    """

    def __init__(self, limit_bytes: int = STREAM_LIMIT_BYTES) -> None:
        self._half = max(1, limit_bytes // 2)
        self._head = bytearray()
        self._tail = bytearray()
        self._left_out = 0

    def append(self, data: bytes) -> None:
        """Adds what was read."""
        room = self._half - len(self._head)
        self._head += data[:room]
        self._tail += data[room:] if room < len(data) else b""
        # Trimmed at twice the size, so that a long stream is not copied for each chunk.
        if len(self._tail) > 2 * self._half:
            self._trim()

    def text(self) -> str:
        """UTF-8 with replacement; a line in the middle says how much was left out."""
        self._trim()
        head = self._head.decode("utf-8", "replace")
        tail = self._tail.decode("utf-8", "replace")
        if not self._left_out:
            return (bytes(self._head) + bytes(self._tail)).decode("utf-8", "replace")
        return f"{head}\n[... {self._left_out} bytes left out ...]\n{tail}"

    @property
    def truncated(self) -> bool:
        """Whether anything was left out."""
        return len(self._tail) > self._half or self._left_out > 0

    def _trim(self) -> None:
        excess = len(self._tail) - self._half
        if excess > 0:
            del self._tail[:excess]
            self._left_out += excess


class StreamCapture:
    """Reads named pipes in a thread of its own until it is closed.

    Args:
        pipes: the read ends by name; the capture owns and closes them.
        limit_bytes: the bound of each.
    """

    def __init__(
        self, pipes: Mapping[str, IO[bytes]], *, limit_bytes: int = STREAM_LIMIT_BYTES
    ) -> None:
        self._pipes = dict(pipes)
        self._texts = {name: BoundedText(limit_bytes) for name in pipes}
        for pipe in self._pipes.values():
            os.set_blocking(pipe.fileno(), False)
        self._lock = threading.Lock()
        self._stop_read, self._stop_write = os.pipe()
        self._thread = threading.Thread(target=self._read_all, name="stream-capture", daemon=True)
        self._thread.start()

    def text(self, name: str) -> str:
        """Everything that was written to that stream before the call, or that is kept of it."""
        self._drain()
        with self._lock:
            return self._texts[name].text()

    def close(self) -> None:
        """Reads what is there, without waiting for more, and closes the pipes.

        A process that got away with the write end cannot hold the caller up.
        """
        if self._thread.is_alive():
            os.write(self._stop_write, b"s")
        self._thread.join()
        if self._pipes:
            self._drain()
            for pipe in self._pipes.values():
                pipe.close()
            os.close(self._stop_read)
            os.close(self._stop_write)
            self._pipes.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _read_all(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._stop_read, selectors.EVENT_READ, None)
            for name, pipe in self._pipes.items():
                selector.register(pipe, selectors.EVENT_READ, name)
            while len(selector.get_map()) > 1:
                for key, _ in selector.select():
                    if key.data is None:
                        return
                    if self._read(key.data) == b"":
                        selector.unregister(key.fileobj)

    def _read(self, name: str) -> bytes | None:
        """One read of one pipe: its bytes, nothing at its end, None where it is empty now."""
        with self._lock:
            try:
                data = os.read(self._pipes[name].fileno(), _CHUNK_BYTES)
            except BlockingIOError:
                return None
            self._texts[name].append(data)
            return data

    def _drain(self) -> None:
        """Reads as much as the pipes can hold: all that was written before the call."""
        for name, pipe in self._pipes.items():
            left = fcntl.fcntl(pipe.fileno(), fcntl.F_GETPIPE_SZ)
            while left > 0 and (data := self._read(name)):
                left -= len(data)
