"""The server's side of one connection to a guest agent: frames over a unix socket."""

from __future__ import annotations

import asyncio
import json
import struct
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from harness.emulator.isolation.model import GuestError, SandboxGoneError

__all__ = ["GuestStream"]

_HEADER = struct.Struct(">cI")
_CHUNK_BYTES = 256 * 1024
_LARGEST_FRAME = 64 * 1024 * 1024


class GuestStream:
    """A call under way: bytes may go in, events and bytes come out.

    Iteration yields `dict` for an event (it has a key `event`) and `bytes` for data, in order,
    and ends after the agent's last frame; `result` holds what that said. The event `eof` says
    that no more bytes come, while the call may go on. One task may send while another reads.
    Not reading is back-pressure: the sandbox's side stops after a bounded buffer.

    Raises (from iteration, `send` and `send_eof`):
        GuestError: the call failed inside.
        SandboxGoneError: the sandbox died.
    """

    def __init__(self, sandbox_id: str, path: str, request: Mapping[str, Any]) -> None:
        self.result: dict[str, Any] = {}
        self._sandbox_id = sandbox_id
        self._path = path
        self._request = request
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self._over = False
        self._failure: GuestError | SandboxGoneError | None = None
        self._kept: deque[dict[str, Any] | bytes] = deque()
        self._receiving = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Connects and sends the request."""
        try:
            self._reader, self._writer = await asyncio.open_unix_connection(
                self._path, limit=_CHUNK_BYTES
            )
        except OSError as error:
            raise SandboxGoneError(self._sandbox_id) from error
        self._writer.write(_frame(b"J", json.dumps(self._request).encode()))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the connection, which cancels a call that is still under way."""
        # Not awaited: an abandoned peer may keep the socket's buffer full for ever.
        self._writer.transport.abort()

    async def send(self, data: bytes | memoryview) -> None:
        """Sends bytes, cut into frames; returns when the sandbox has room for more."""
        view = memoryview(data)
        while view:
            piece, view = view[:_CHUNK_BYTES], view[_CHUNK_BYTES:]
            await self._write(_HEADER.pack(b"B", len(piece)), piece)

    async def send_eof(self) -> None:
        """Says that no more bytes follow."""
        await self._write(_HEADER.pack(b"E", 0))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> dict[str, Any] | bytes:
        async with self._receiving:
            item = self._kept.popleft() if self._kept else await self._next()
        if item is not None:
            return item
        if self._failure is not None:
            raise self._failure
        raise StopAsyncIteration

    async def finish(self) -> dict[str, Any]:
        """Reads to the end, past any event; the result."""
        async for _ in self:
            pass
        return self.result

    async def _write(self, *parts: bytes | memoryview) -> None:
        try:
            for part in parts:
                self._writer.write(part)
            await self._writer.drain()
        except ConnectionError:
            # The agent has ended the call; its last frame, after what else is on its way, says
            # how. Where that is well (a peer that reads no more), the bytes go nowhere.
            async with self._receiving:
                while (item := await self._next()) is not None:
                    self._kept.append(item)
            if self._failure is not None:
                raise self._failure from None

    async def _next(self) -> dict[str, Any] | bytes | None:
        """The next event or bytes; None once the call is over, with its result or failure set."""
        if self._over:
            return None
        try:
            kind, length = _HEADER.unpack(await self._reader.readexactly(_HEADER.size))
            payload = await self._reader.readexactly(min(length, _LARGEST_FRAME))
            if kind == b"B":
                return payload
            if kind == b"E":
                return {"event": "eof"}
            return self._read_message(json.loads(payload))
        except (asyncio.IncompleteReadError, ConnectionError, LookupError, ValueError):
            # Root inside may have taken the agent over; what it then says is no answer.
            self._over, self._failure = True, SandboxGoneError(self._sandbox_id)
            return None

    def _read_message(self, message: dict[str, Any]) -> dict[str, Any] | None:
        if "event" in message:
            return message
        self._over = True
        if message["ok"]:
            self.result = message["result"]
        else:
            self._failure = GuestError(message["code"], message["message"])
        return None


def _frame(kind: bytes, payload: bytes) -> bytes:
    return _HEADER.pack(kind, len(payload)) + payload
