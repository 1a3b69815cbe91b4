"""Server streams as responses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.types import Message

from harness.emulator.envd.connect import ConnectError
from harness.emulator.envd.streams import ServerStream
from harness.emulator.isolation import GuestError, SandboxGoneError


def parsed(wire: bytes) -> list[tuple[int, Any]]:
    found = []
    while wire:
        length = int.from_bytes(wire[1:5], "big")
        found.append((wire[0], json.loads(wire[5 : 5 + length])))
        wire = wire[5 + length :]
    return found


def played(
    stream: ServerStream,
    *,
    client_leaves: asyncio.Event | None = None,
    on_receipt: Callable[[bytes], None] = lambda _: None,
) -> bytes:
    """The body that a client received."""
    body = bytearray()

    async def send(message: Message) -> None:
        body.extend(message.get("body", b""))
        on_receipt(bytes(body))

    async def receive() -> Message:
        await (client_leaves or asyncio.Event()).wait()
        return {"type": "http.disconnect"}

    async def run() -> None:
        async with asyncio.timeout(60):
            await stream({"type": "http"}, receive, send)

    asyncio.run(run())
    return bytes(body)


async def messages(*items: bytes | Exception) -> AsyncIterator[bytes]:
    for item in items:
        if isinstance(item, Exception):
            raise item
        yield item


async def silence() -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""


def test_stream_ends_with_an_end_envelope() -> None:
    """Without it a client takes the stream for broken."""
    assert parsed(played(ServerStream(messages(b"1", b"2")))) == [(0, 1), (0, 2), (2, {})]


def test_failure_in_the_source_is_in_the_last_envelope() -> None:
    """The status was 200 long ago."""
    for error in (ConnectError("not_found", "gone"), GuestError("not_found", "gone")):
        wire = parsed(played(ServerStream(messages(b"1", error))))
        assert wire == [(0, 1), (2, {"error": {"code": "not_found", "message": "gone"}})]


def test_sandbox_that_dies_ends_the_stream_without_an_end() -> None:
    """What is left to do is to reset the connection."""
    gone: list[bool] = []
    stream = ServerStream(messages(b"1", SandboxGoneError("i1")), on_gone=lambda: gone.append(True))
    assert parsed(played(stream)) == [(0, 1)]
    assert gone == [True]


def test_deadline_ends_the_stream_after_what_it_has_to_end() -> None:
    """First the process, then the client is told."""
    order: list[str] = []

    async def on_deadline() -> None:
        order.append("killed")

    stream = ServerStream(silence(), timeout_s=0.01, on_deadline=on_deadline)
    [(flags, end)] = parsed(played(stream))
    assert (flags, end["error"]["code"], order) == (2, "deadline_exceeded", ["killed"])


def test_idle_stream_sends_keepalives() -> None:
    """A quiet command keeps its connection."""
    heard = asyncio.Event()

    async def quiet() -> AsyncIterator[bytes]:
        await heard.wait()
        for message in list[bytes]():
            yield message

    def listen(body: bytes) -> None:
        if len(parsed(body)) > 2:
            heard.set()

    stream = ServerStream(quiet(), keepalive=b'"alive"', keepalive_s=0.01)
    wire = parsed(played(stream, on_receipt=listen))
    assert wire[-1] == (2, {})
    assert len(wire) >= 4
    assert {message for _, message in wire[:-1]} == {"alive"}


def test_client_that_leaves_ends_the_stream_and_closes_the_source() -> None:
    """Nothing is read for nobody."""
    closed: list[bool] = []
    leaves = asyncio.Event()

    async def source() -> AsyncIterator[bytes]:
        try:
            yield b"1"
            leaves.set()
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    assert parsed(played(ServerStream(source()), client_leaves=leaves)) == [(0, 1)]
    assert closed == [True]
