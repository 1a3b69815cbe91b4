"""The server's side of one connection to a guest agent: frames over a unix socket."""

from __future__ import annotations

import asyncio
import json
import struct
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
    and ends after the agent's last frame; `result` holds what that said. Not reading is
    back-pressure: the sandbox's side stops after a bounded buffer.

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
        if self._over:
            raise StopAsyncIteration
        kind, payload = await self._receive()
        if kind == b"B":
            return payload
        if kind == b"E":
            return {"event": "eof"}
        message: dict[str, Any] = json.loads(payload)
        if "event" in message:
            return message
        self._over = True
        if not message["ok"]:
            raise GuestError(message["code"], message["message"])
        self.result = message["result"]
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
            # The agent refused and closed; its last frame says why.
            await self.finish()
            raise SandboxGoneError(self._sandbox_id) from None

    async def _receive(self) -> tuple[bytes, bytes]:
        try:
            kind, length = _HEADER.unpack(await self._reader.readexactly(_HEADER.size))
            if length > _LARGEST_FRAME:
                raise SandboxGoneError(self._sandbox_id)
            return kind, await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise SandboxGoneError(self._sandbox_id) from error


def _frame(kind: bytes, payload: bytes) -> bytes:
    return _HEADER.pack(kind, len(payload)) + payload
