"""Programs that a connection starts: what becomes of connections where they do not start."""

from __future__ import annotations

import pytest
from guest_lab import Guest

from harness.emulator.isolation import GuestError

PORT = 49999


def activate(guest: Guest, program: str) -> int:
    result = guest.lab.do(
        lambda: guest.sandbox.call(
            "tcp.activate", port=PORT, program=program, user="root", log="/root/log", envs={}
        )
    )
    port: int = result["port"]
    return port


def said(guest: Guest) -> bytes:
    """What a connection to the port says until it ends."""

    async def talk() -> bytes:
        async with guest.sandbox.stream("tcp.dial", port=PORT) as stream:
            await anext(stream)
            await stream.send_eof()
            return b"".join([item async for item in stream if isinstance(item, bytes)])

    return guest.lab.do(talk)


def test_connection_to_a_program_that_cannot_start_is_closed(guest: Guest) -> None:
    """A client is turned away, not left waiting, and the log has the reason."""
    with pytest.raises(GuestError, match="nothing listens"):
        said(guest)
    port = activate(guest, "no_such_program")
    assert port == PORT
    assert said(guest) == b""
    assert "no_such_program" in guest.run("cat /root/log", user="root").text
    # Where the port is taken another one is found: sandboxes may share a network.
    assert activate(guest, "no_such_program") != PORT
