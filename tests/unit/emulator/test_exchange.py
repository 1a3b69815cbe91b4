"""Requests that are counted and can be cut."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.types import Message

from harness.clock import ManualClock
from harness.emulator.exchange import TRANSPORT_KEY, Exchange
from harness.emulator.ledger import Entry


class Wire:
    """A connection that notes what becomes of it."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.aborted = False

    def is_closing(self) -> bool:
        return self.aborted

    def get_extra_info(self, name: str) -> None:
        del name

    def abort(self) -> None:
        self.aborted = True

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    async def receive(self) -> Message:
        return {"type": "http.request", "body": b"12345", "more_body": False}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


def exchange_on(wire: Wire) -> Exchange:
    entry = Entry(number=1, time=ManualClock().now(), method="GET", path="/", query="")
    scope: dict[str, Any] = {TRANSPORT_KEY: wire}
    return Exchange(scope, wire.receive, wire.send, entry)


def start() -> Message:
    return {"type": "http.response.start", "status": 200, "headers": []}


def body(data: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


def test_bytes_are_counted_both_ways() -> None:
    """Bodies only, as they pass."""

    async def run() -> None:
        wire = Wire()
        exchange = exchange_on(wire)
        await exchange.receive()
        for message in (start(), body(b"abc", more=True), body(b"de", more=False)):
            await exchange.send(message)
        exchange.close()
        entry = exchange.entry
        assert (entry.status, entry.bytes_in, entry.bytes_out) == (200, 5, 5)
        assert entry.duration_ms is not None
        assert wire.body == b"abcde"

    asyncio.run(run())


def test_cut_sends_exactly_so_many_bytes_and_resets() -> None:
    """What follows is not sent any more."""

    async def run() -> None:
        wire = Wire()
        exchange = exchange_on(wire)
        exchange.cut_after_bytes = 4
        for message in (
            start(),
            body(b"abc", more=True),
            body(b"def", more=True),
            body(b"ghi", more=False),
        ):
            await exchange.send(message)
        assert wire.body == b"abcd"
        assert wire.aborted
        assert exchange.entry.bytes_out == 4

    asyncio.run(run())


def test_only_an_answer_under_way_is_reset() -> None:
    """An idle connection stays good for the next request."""

    async def run() -> None:
        for messages, reset in (
            ([], False),
            ([start()], True),
            ([start(), body(b"", more=False)], False),
        ):
            wire = Wire()
            exchange = exchange_on(wire)
            for message in messages:
                await exchange.send(message)
            exchange.reset_if_streaming()
            assert wire.aborted == reset

    asyncio.run(run())


def test_reset_before_an_answer_leaves_no_status() -> None:
    """The ledger does not claim what nobody received."""
    exchange = exchange_on(Wire())
    exchange.reset()
    exchange.close()
    assert exchange.entry.status is None
