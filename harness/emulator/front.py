"""A second door for clients that know E2B only by its public names: a proxy with TLS.

A client with HTTPS_PROXY and SSL_CERT_FILE asks here for a way to `api.e2b.app` or
`<port>-<sandbox>.e2b.app`, and gets the emulator. TLS is spoken here, then HTTP as at the
first door. Every other host is refused by name: nothing leaves this machine.

Differs: HTTP/2 is not offered. Every SDK that would speak it asks by ALPN and then speaks
HTTP/1.1 (e2b 2.63.0 e2b/connection_config.py; e2b for JavaScript 2.51.0 src/undici.ts).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Self

from harness.emulator.ledger import Ledger
from harness.emulator.service_clock import ServiceClock

if TYPE_CHECKING:
    from harness.emulator.authority import Authority

__all__ = ["E2B_DOMAINS", "Front"]

# Source: e2b 2.63.0 e2b/sandbox_domains.py.
E2B_DOMAINS = ("e2b.app", "e2b.dev", "e2b.pro", "e2b-staging.dev")
HEAD_DEADLINE_S = 30.0
MAX_HEAD_BYTES = 16 * 1024
_TLS_HANDSHAKE = 0x16
_CONNECT = re.compile(rb"CONNECT \[?([^\s\]]+?)\]?:(\d+) HTTP/1\.[01]\r\n")


class Front:
    """Serves the proxy and TLS on a bound socket; an async context manager.

    Args:
        sock: the socket; closed at the end.
        authority: makes the certificates.
        protocol: makes the protocol that speaks HTTP on a connection.
        domains: the hosts that the emulator plays, with all below them.
        ledger: where a refused host is noted.
        clock: tells when.
    """

    def __init__(
        self,
        sock: socket.socket,
        authority: Authority,
        protocol: Callable[[], asyncio.Protocol],
        *,
        domains: tuple[str, ...],
        ledger: Ledger,
        clock: ServiceClock,
    ) -> None:
        self._sock = sock
        self._authority = authority
        self._context = authority.server_context()
        self._protocol = protocol
        self._domains = domains
        self._ledger = ledger
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def env(self) -> dict[str, str]:
        """The variables with which clients come through here and trust what they meet."""
        host, port = self._sock.getsockname()[:2]
        url = f"http://{host}:{port}"
        bundle = str(self._authority.bundle)
        return {
            "HTTPS_PROXY": url,
            "https_proxy": url,
            "SSL_CERT_FILE": bundle,
            "REQUESTS_CA_BUNDLE": bundle,
            "NODE_EXTRA_CA_CERTS": str(self._authority.certificate),
            "NODE_USE_ENV_PROXY": "1",
        }

    async def __aenter__(self) -> Self:
        """Begins to accept connections."""
        self._spawn(self._accept())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Accepts no more, and leaves those that are being made; the rest is the listener's."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._sock.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(self._sock)
            self._spawn(self._greet(connection))

    async def _greet(self, connection: socket.socket) -> None:
        """Finds out what a client wants; from then on the connection is the protocol's."""
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        kept = False
        try:
            async with asyncio.timeout(HEAD_DEADLINE_S):
                kept = await self._introduce(connection)
        except (OSError, ssl.SSLError, TimeoutError):
            kept = False  # the client left, or does not trust the authority
        finally:
            if not kept:
                connection.close()

    async def _introduce(self, connection: socket.socket) -> bool:
        first = await _peek(connection)
        if first == b"C":  # CONNECT, and no other method of HTTP but that one and COPY
            if not await self._admit(connection):
                return False
            first = await _peek(connection)
        if not first:
            return False
        context = self._context if first[0] == _TLS_HANDSHAKE else None
        # The handshake's failure closes the socket itself.
        await asyncio.get_running_loop().connect_accepted_socket(
            self._protocol,
            connection,
            ssl=context,
            ssl_handshake_timeout=HEAD_DEADLINE_S if context else None,
        )
        return True

    async def _admit(self, connection: socket.socket) -> bool:
        loop = asyncio.get_running_loop()
        head = b""
        while b"\r\n\r\n" not in head and len(head) < MAX_HEAD_BYTES:
            piece = await loop.sock_recv(connection, MAX_HEAD_BYTES)
            if not piece:
                return False
            head += piece
        asked = _CONNECT.match(head)
        if asked is None:
            await loop.sock_sendall(connection, _refusal(400, "Bad Request", "not a CONNECT"))
            return False
        host = asked.group(1).decode("latin-1").lower().rstrip(".")
        if self._plays(host):
            await loop.sock_sendall(connection, b"HTTP/1.1 200 Connection established\r\n\r\n")
            return True
        where = f"{host}:{asked.group(2).decode()}"
        entry = self._ledger.open(time=self._clock.now(), method="CONNECT", path=where, query="")
        entry.area, entry.status = "proxy", 403
        entry.notes.append(f"the proxy leads to {', '.join(self._domains)} only")
        text = f"the emulator's proxy leads to {', '.join(self._domains)} only, not to {where}"
        await loop.sock_sendall(connection, _refusal(403, "Forbidden", text))
        return False

    def _plays(self, host: str) -> bool:
        known = (*self._domains, "localhost")
        return any(host == domain or host.endswith(f".{domain}") for domain in known)


async def _peek(connection: socket.socket) -> bytes:
    """The first byte that waits, left where it is; empty at the end of the stream."""
    loop = asyncio.get_running_loop()
    while True:
        with contextlib.suppress(BlockingIOError):
            return connection.recv(1, socket.MSG_PEEK)
        readable = loop.create_future()
        loop.add_reader(connection, _settle, readable)
        try:
            await readable
        finally:
            loop.remove_reader(connection)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _refusal(status: int, phrase: str, text: str) -> bytes:
    body = f"{text}\n".encode()
    head = (
        f"HTTP/1.1 {status} {phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
