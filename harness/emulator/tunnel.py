"""Connections that change their protocol: WebSocket and the like, to a sandbox's port.

HTTP's request is written to the sandbox's server as it came, and from then on bytes
are passed both ways without being understood.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers

from harness.emulator.isolation import GuestError, GuestStream, SandboxGoneError
from harness.emulator.ledger import Entry
from harness.emulator.life import SandboxLife
from harness.emulator.proxy import admits_traffic, canonical_name, masked_host
from harness.emulator.routing import Target
from harness.emulator.service import EmulatedService

__all__ = ["Tunnel", "upgrade_head"]

MAX_BUFFERED_BYTES = 256 * 1024


def upgrade_head(method: bytes, url: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
    """A request's head as it stands on the wire."""
    lines = [method + b" " + url + b" HTTP/1.1"]
    lines += [name + b": " + value for name, value in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


class Tunnel(asyncio.Protocol):
    """Takes over a client's connection after the head of an upgrade request.

    Args:
        service: the emulator.
        target: the sandbox and the port.
        entry: the request's entry in the ledger.
        method: the request's method.
        url: the request's target.
        headers: the request's headers.
        transport: the client's connection.
        keep: holds on to the tunnel's task.
    """

    def __init__(
        self,
        service: EmulatedService,
        target: Target,
        entry: Entry,
        *,
        method: bytes,
        url: bytes,
        headers: list[tuple[bytes, bytes]],
        transport: asyncio.Transport,
        keep: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._service = service
        self._target = target
        self._entry = entry
        self._method = method
        self._url = url
        self._headers = headers
        self._transport = transport
        self._incoming = bytearray()
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._closed = False
        self._gone = asyncio.Event()
        keep(self._run())

    def data_received(self, data: bytes) -> None:
        """Keeps bytes until they are passed on; the client waits where they are many."""
        self._incoming += data
        self._entry.bytes_in += len(data)
        self._arrived.set()
        if len(self._incoming) > MAX_BUFFERED_BYTES:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """The client sends no more."""
        self._closed = True
        self._arrived.set()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        del exc
        self._closed = True
        self._gone.set()
        self._arrived.set()
        self._room.set()

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        self._room.clear()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._room.set()

    async def _run(self) -> None:
        life = self._service.sandboxes.find(self._target.sandbox_id)
        try:
            if life is None or not life.running:
                self._refuse(502, "The sandbox was not found")
            elif not admits_traffic(life, Headers(raw=self._headers)):
                self._refuse(403, "Sandbox is secured with traffic access token")
            else:
                await self._pass(life)
        except GuestError:
            self._refuse(502, "The sandbox is running but port is not open")
        except SandboxGoneError:
            pass  # its end is the connection's end
        finally:
            self._transport.close()

    async def _pass(self, life: SandboxLife) -> None:
        port = self._target.port
        async with life.guest.stream("tcp.dial", port=port) as stream:
            await anext(stream)  # connected
            host = masked_host(life.asked.network, port, Headers(raw=self._headers).get("host", ""))
            headers = [(canonical_name(n), v) for n, v in self._headers if n.lower() != b"host"]
            head = upgrade_head(self._method, self._url, [(b"Host", host.encode()), *headers])
            await stream.send(head)
            incoming = asyncio.ensure_future(self._pass_in(stream))
            # Who only says no more is still told what the sandbox says.
            ends = (
                asyncio.ensure_future(self._pass_out(stream)),
                asyncio.ensure_future(self._gone.wait()),
            )
            try:
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (incoming, *ends):
                    task.cancel()
                await asyncio.gather(incoming, *ends, return_exceptions=True)

    async def _pass_in(self, stream: GuestStream) -> None:
        """Passes the client's bytes on, and that no more will come."""
        while True:
            if not self._incoming:
                if self._closed:
                    await stream.send_eof()
                    return
                self._arrived.clear()
                await self._arrived.wait()
                continue
            data = bytes(self._incoming)
            self._incoming.clear()
            self._transport.resume_reading()
            await stream.send(data)

    async def _pass_out(self, stream: GuestStream) -> None:
        """Passes the sandbox's bytes back, until it has nothing more to say nor to hear."""
        async for frame in stream:
            if isinstance(frame, bytes):
                self._entry.bytes_out += len(frame)
                if self._entry.status is None:
                    self._entry.status = _status_of(frame)
                self._transport.write(frame)
                await self._room.wait()
            elif frame["event"] == "eof":
                if not self._transport.can_write_eof():
                    break  # TLS closes both ways at once
                self._transport.write_eof()

    def _refuse(self, status: int, message: str) -> None:
        self._entry.status = status
        body = f'{{"message":"{message}","sandboxId":"{self._target.sandbox_id}","code":{status}}}'
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
            "content-type: application/json; charset=utf-8\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self._transport.write((head + body).encode())


def _status_of(first: bytes) -> int | None:
    parts = first.split(b" ", 2)
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else None
