"""One request and its answer: counted for the ledger, and able to be cut off.

E2B ends the streams of a killed sandbox with a TCP reset, which no ASGI message can
ask for; so an exchange knows the connection that it runs on.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from email.utils import format_datetime
from time import perf_counter
from typing import TYPE_CHECKING

from starlette.types import Message, Receive, Scope, Send

from harness.emulator.ledger import Entry

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["TRANSPORT_KEY", "Exchange", "exchange_of"]

EXCHANGE_KEY = "harness.exchange"
TRANSPORT_KEY = "harness.transport"
_LINGER_ZERO = struct.pack("ii", 1, 0)


class Exchange:
    """A request on its way through the emulator.

    Args:
        scope: the ASGI scope; the exchange puts itself into it.
        receive: the server's.
        send: the server's.
        entry: the ledger's entry of this request.

    Attributes:
        cut_after_bytes: after so many bytes of the body the connection is reset.
        truncate_after_bytes: after so many the answer ends as if that were all.
        first_byte_s: how long the first byte of the body waits.
        hang: whether the process that is asked for is to hang.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, entry: Entry) -> None:
        self.entry = entry
        self.cut_after_bytes: int | None = None
        self.truncate_after_bytes: int | None = None
        self.first_byte_s = 0.0
        self.hang = False
        self.was_reset = False
        self.started = False
        self.complete = False
        self._receive = receive
        self._send = send
        self._transport: asyncio.Transport | None = scope.get(TRANSPORT_KEY)
        self._began = perf_counter()
        scope[EXCHANGE_KEY] = self

    @property
    def connected(self) -> bool:
        """Whether the client is still there, as far as is known."""
        return self._transport is None or not self._transport.is_closing()

    async def receive(self) -> Message:
        """The next ASGI message; body bytes are counted."""
        message = await self._receive()
        if message["type"] == "http.request":
            self.entry.bytes_in += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        """Sends an ASGI message; body bytes are counted, and cut where a fault says so."""
        if self.was_reset:
            return
        if message["type"] == "http.response.start":
            self.started = True
            self.entry.status = message["status"]
            message = {**message, "headers": [*self._kept(message), *self._date(message)]}
        elif message["type"] == "http.response.body":
            await self._send_body(message)
            return
        await self._send(message)

    def _kept(self, message: Message) -> list[tuple[bytes, bytes]]:
        """The answer's headers; a truncated one does not say how long it was to be."""
        headers: list[tuple[bytes, bytes]] = [*message.get("headers", ())]
        if self.truncate_after_bytes is None:
            return headers
        return [header for header in headers if header[0].lower() != b"content-length"]

    def _date(self, message: Message) -> list[tuple[bytes, bytes]]:
        """The header by which clients measure the service's clock, unless it is there already."""
        if any(name.lower() == b"date" for name, _ in message.get("headers", ())):
            return []
        return [(b"date", format_datetime(self.entry.time, usegmt=True).encode("ascii"))]

    async def _send_body(self, message: Message) -> None:
        body = message.get("body", b"")
        if self.first_byte_s and (body or not message.get("more_body", False)):
            wait_s, self.first_byte_s = self.first_byte_s, 0.0
            await asyncio.sleep(wait_s)
        most = self.truncate_after_bytes
        if most is not None and self.entry.bytes_out + len(body) >= most:
            if self.complete:
                return
            body = body[: most - self.entry.bytes_out]
            message = {**message, "body": body, "more_body": False}
        limit = self.cut_after_bytes
        if limit is not None and self.entry.bytes_out + len(body) >= limit:
            kept = body[: limit - self.entry.bytes_out]
            self.entry.bytes_out += len(kept)
            await self._send({**message, "body": kept, "more_body": True})
            # The peer must see what was sent before the reset discards the buffer.
            await asyncio.sleep(0.02)
            self.reset()
            return
        self.entry.bytes_out += len(body)
        self.complete = not message.get("more_body", False)
        await self._send(message)

    def reset(self) -> None:
        """Ends the connection with a TCP reset."""
        self.was_reset = True
        if self._transport is None or self._transport.is_closing():
            return
        sock: socket.socket | None = self._transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self._transport.abort()

    def reset_if_streaming(self) -> None:
        """Resets a connection whose answer is under way; any other is left for reuse."""
        if self.started and not self.complete:
            self.reset()

    def close(self) -> None:
        """Closes the ledger's entry."""
        self.entry.duration_ms = (perf_counter() - self._began) * 1000
        if self.was_reset and not self.started:
            self.entry.status = None


def exchange_of(request: Request) -> Exchange:
    """The exchange that a request belongs to."""
    exchange: Exchange = request.scope[EXCHANGE_KEY]
    return exchange
