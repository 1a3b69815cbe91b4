"""The proxy's door: whom it lets through, and to whom; with the authority's certificates."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from harness.clock import ManualClock
from harness.emulator.authority import Authority
from harness.emulator.front import Front
from harness.emulator.ledger import Ledger
from harness.emulator.loopback import bind
from harness.emulator.service_clock import ServiceClock

Talk = Callable[[int, Authority, Ledger], Awaitable[None]]


class Echo(asyncio.Protocol):
    """Says back what it hears, so that a test knows that it came through."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the connection."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Says it back."""
        self.transport.write(data.upper())


def _play(tmp_path: Path, talk: Talk) -> None:
    async def whole() -> None:
        authority, ledger, sock = Authority(tmp_path), Ledger(), bind(0)
        front = Front(
            sock,
            authority,
            Echo,
            domains=("e2b.app",),
            ledger=ledger,
            clock=ServiceClock(ManualClock()),
        )
        async with asyncio.timeout(60), front:
            await talk(sock.getsockname()[1], authority, ledger)

    asyncio.run(whole())


async def _through(port: int, host: str, authority: Authority | None) -> bytes:
    """What a client gets that asks for a way to `host` and speaks TLS there."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    try:
        if b" 200 " not in head:
            return head + await reader.read()
        context = ssl.create_default_context()
        if authority is not None:
            context.load_verify_locations(authority.certificate)
        await writer.start_tls(context, server_hostname=host)
        writer.write(b"hello")
        return await reader.readexactly(5)
    finally:
        writer.transport.abort()


@pytest.mark.parametrize("host", ["api.e2b.app", "3000-iabc.e2b.app", "e2b.app", "localhost"])
def test_front_plays_its_domains_to_who_trusts_its_authority(tmp_path: Path, host: str) -> None:
    """Each name has a certificate that verifies; who does not trust it gets nothing."""

    async def talk(port: int, authority: Authority, ledger: Ledger) -> None:
        assert await _through(port, host, authority) == b"HELLO"
        with pytest.raises(ssl.SSLCertVerificationError):
            await _through(port, host, None)
        assert ledger.entries() == ()

    _play(tmp_path, talk)


@pytest.mark.parametrize("host", ["example.com", "e2b.app.example.com", "note2b.app"])
def test_front_refuses_every_other_host_by_name(tmp_path: Path, host: str) -> None:
    """Nothing leaves this machine, and the ledger says who wanted where."""

    async def talk(port: int, authority: Authority, ledger: Ledger) -> None:
        answer = await _through(port, host, authority)
        assert b" 403 Forbidden" in answer
        assert host.encode() in answer
        [entry] = ledger.entries()
        assert (entry.path, entry.status) == (f"{host}:443", 403)

    _play(tmp_path, talk)


def test_authority_keeps_its_key_to_itself(tmp_path: Path) -> None:
    """On disk are certificates alone: its own, and before those that are trusted anyway."""
    authority = Authority(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ca-bundle.pem", "ca.pem"]
    own = authority.certificate.read_bytes()
    assert authority.bundle.read_bytes().startswith(own)
    for path in tmp_path.iterdir():
        assert b"PRIVATE" not in path.read_bytes()
    assert own.count(b"BEGIN CERTIFICATE") == 1
