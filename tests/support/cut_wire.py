"""A wire between clients and a service on loopback, on which something happens at one request.

It relays bytes and knows requests by their first line. At the chosen one it calls back,
and then lets the request go on, answers it with a failure, or goes down for a while.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Self

_REQUEST_LINE = re.compile(rb"([A-Z]{3,7}) (\S+) HTTP/1\.1\r\n")
_CREATE = re.compile(rb"POST (/v2)?/sandboxes[ ?]")
_DEADLINE_S = 60.0
_FAILURE = b'{"code":500,"message":"the wire was told to fail"}'
_REFUSAL = (
    b"HTTP/1.1 500 Internal Server Error\r\ncontent-type: application/json\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(_FAILURE), _FAILURE)
)


class Moment(StrEnum):
    """When something happens to the request."""

    BEFORE = "before"
    PENDING = "answer pending"


class Weather(StrEnum):
    """What happens to it on the wire."""

    FAIR = "fair"
    FAILURE = "failure"
    DOWN = "down"


@dataclass(frozen=True, kw_only=True)
class Point:
    """The request at which something happens.

    Attributes:
        number: 1-based, counted from `arm`.
        moment: before the service gets it, or when it has answered and the client has not
            got the answer.
    """

    number: int
    moment: Moment


class CutWire:
    """The wire; a context manager with an event loop in a thread of its own."""

    def __init__(self, port: int) -> None:
        self.url = ""
        self.requests: list[str] = []
        self._port = port
        self._point: Point | None = None
        self._earlier: tuple[bytes, ...] = ()
        self._weather = Weather.FAIR
        self._on_point: Callable[[], None] = lambda: None
        self._down = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self._answered = threading.Event()
        self._answered.set()

    def __enter__(self) -> Self:
        self._thread.start()
        server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop
        ).result(_DEADLINE_S)
        self._server = server
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(_DEADLINE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_DEADLINE_S)
        self._loop.close()

    def arm(
        self,
        point: Point | None,
        weather: Weather,
        on_point: Callable[[], None],
        *,
        earlier: Collection[str] = (),
    ) -> None:
        """Counts from here on, but not what is asked of `earlier` sandboxes.

        `on_point` is called from the wire's thread, once.
        """

        def set_up() -> None:
            self.requests = []
            self._earlier = tuple(one.encode() for one in earlier)
            self._point, self._weather, self._on_point = point, weather, on_point

        self._in_loop(set_up)

    def disarm(self) -> None:
        """Nothing happens any more, and the network is up."""

        def set_up() -> None:
            self._point, self._down = None, False

        self._in_loop(set_up)

    def wait_answered(self, timeout_s: float) -> bool:
        """Whether the service has answered the create before which something happened.

        Until then it may still do what it was asked for, though nobody waits for it any more.
        """
        return self._answered.wait(timeout_s)

    def _in_loop(self, call: Callable[[], None]) -> None:
        async def run() -> None:
            call()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(_DEADLINE_S)

    async def _close(self) -> None:
        self._server.close()
        for writer in tuple(self._writers):
            writer.transport.abort()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            if not self._down:
                await self._connection(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # either end may go at any time: that is what the wire is for
        finally:
            self._writers.discard(writer)
            writer.transport.abort()
            self._tasks.discard(task)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers.add(back)
        held = _Held()
        answers = asyncio.create_task(self._answers(there, writer, held))
        try:
            while data := await reader.read(65536):
                match = _REQUEST_LINE.match(data)
                counts = match is not None and self._is_of_now(match[2])
                if match is not None and counts:
                    self.requests.append(b" ".join(match.groups()).decode())
                if counts and self._is_point():
                    assert self._point is not None
                    if self._point.moment is Moment.PENDING:
                        held.hold = True
                    else:
                        assert match is not None
                        if _CREATE.match(match[0]):
                            self._answered.clear()
                            held.answer = asyncio.Event()
                        if await self._happens(writer):
                            self._came(held)
                            return
                back.write(data)
                await back.drain()
        finally:
            if held.answer is not None:  # the service finishes what it has, whoever asked for it
                with suppress(TimeoutError):
                    await asyncio.wait_for(held.answer.wait(), _DEADLINE_S)
            answers.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await answers
            self._writers.discard(back)
            back.transport.abort()

    async def _answers(
        self, there: asyncio.StreamReader, writer: asyncio.StreamWriter, held: _Held
    ) -> None:
        try:
            while data := await there.read(65536):
                self._came(held)
                if held.hold:
                    held.hold = False
                    if await self._happens(writer):
                        return
                writer.write(data)
                await writer.drain()
            writer.transport.abort() if self._down else writer.close()
        finally:
            self._came(held)

    def _came(self, held: _Held) -> None:
        if held.answer is not None:
            held.answer.set()
            self._answered.set()

    def _is_of_now(self, path: bytes) -> bool:
        """The gateway's search for a lost create, and its last looks, may be an earlier trial's."""
        return b"harness_nonce" not in path and not any(one in path for one in self._earlier)

    def _is_point(self) -> bool:
        return self._point is not None and len(self.requests) == self._point.number

    async def _happens(self, writer: asyncio.StreamWriter) -> bool:
        """Calls back; whether the request is not to go on."""
        await asyncio.to_thread(self._on_point)
        if self._weather is Weather.FAILURE:
            writer.write(_REFUSAL)
            await writer.drain()
            return True
        if self._weather is Weather.DOWN:
            self._down = True
            for one in tuple(self._writers):
                one.transport.abort()
            return True
        return False


@dataclass
class _Held:
    """What is held of one connection.

    Attributes:
        hold: whether the next answer is, for something to happen first.
        answer: set once there is an answer to the create before which something happened.
    """

    hold: bool = False
    answer: asyncio.Event | None = None
