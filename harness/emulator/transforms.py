"""Header transforms: what a sandbox's rules add to the requests that it sends out.

The sandbox trusts an authority of the stand-in internet, so that TLS can be opened here,
the headers set, and TLS spoken anew with the responder.

Source: e2b 2.63.0 e2b/sandbox/sandbox_api.py (SandboxNetworkTransform): values override
headers of the same name.

Differs: a connection whose requests are transformed carries one request, HTTP/1.1.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Mapping, Sequence

import trustme

__all__ = ["Injector", "with_headers"]

_TLS_HANDSHAKE = 0x16
_MAX_HEAD_BYTES = 64 * 1024
_CHUNK_BYTES = 64 * 1024


class Injector:
    """Stands between sandboxes and responders where headers are to be set.

    Args:
        authority: PEM certificates that responders' certificates are held to.

    Attributes:
        certificate: PEM of the authority that sandboxes have to trust.
    """

    def __init__(self, authority: str) -> None:
        self._ca = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self.certificate = self._ca.cert_pem.bytes().decode()
        self._client_context = ssl.create_default_context()
        if authority:
            self._client_context.load_verify_locations(cadata=authority)
        self._contexts: dict[tuple[str, ...], ssl.SSLContext] = {}

    async def carry(
        self,
        sock: socket.socket,
        *,
        first: bytes,
        names: Sequence[str],
        place: tuple[str, int],
        headers: Mapping[str, str],
    ) -> None:
        """Carries one request and its answer; returns when either side has ended.

        Args:
            sock: what the sandbox's bytes come from and go to; is closed.
            first: the first of those bytes, which are still to come on `sock`, too.
            names: what the host is called; the first is held to its certificate.
            place: the responder on loopback.
            headers: what is set.

        Raises:
            OSError: the responder is not there, or is not who it should be.
            asyncio.IncompleteReadError: the sandbox hung up within the head.
            asyncio.LimitOverrunError: the head is too long.
        """
        secure = first[:1] == bytes([_TLS_HANDSHAKE])
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_MAX_HEAD_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_accepted_socket(
            lambda: protocol, sock, ssl=self._context(names) if secure else None
        )
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        with contextlib.closing(transport):
            head = await reader.readuntil(b"\r\n\r\n")
            answer, out = await asyncio.open_connection(
                *place,
                ssl=self._client_context if secure else None,
                server_hostname=names[0] if secure else None,
            )
            with contextlib.closing(out):
                out.write(with_headers(head, headers))
                sending = asyncio.create_task(_pass(reader, out))
                try:
                    await _pass(answer, writer)
                finally:
                    sending.cancel()
                    await asyncio.gather(sending, return_exceptions=True)

    def _context(self, names: Sequence[str]) -> ssl.SSLContext:
        key = tuple(names)
        if key not in self._contexts:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.set_alpn_protocols(["http/1.1"])
            self._ca.issue_cert(*names, key_type=trustme.KeyType.ECDSA).configure_cert(context)
            self._contexts[key] = context
        return self._contexts[key]


def with_headers(head: bytes, headers: Mapping[str, str]) -> bytes:
    """A request's head with these headers set, as the last request of its connection."""
    wanted = {**headers, "Connection": "close"}
    replaced = {name.lower().encode("latin-1") for name in wanted}
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    kept = [line for line in lines if line.partition(b":")[0].strip().lower() not in replaced]
    added = [f"{name}: {value}".encode("latin-1") for name, value in wanted.items()]
    return b"\r\n".join([first, *kept, *added]) + b"\r\n\r\n"


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK_BYTES):
        writer.write(data)
        await writer.drain()
