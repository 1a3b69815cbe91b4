"""A server stream of Connect as a response: keepalives, deadline, disconnects.

The messages come from a source that knows nothing of HTTP. The client's leaving ends
the stream and nothing else; what a deadline ends is up to the source.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from harness.emulator.envd.connect import STREAM_TYPE, ConnectError, end_envelope, envelope
from harness.emulator.isolation import GuestError, SandboxGoneError

__all__ = ["ServerStream"]

# Source: e2b-dev/infra packages/envd/internal/permissions/keepalive.go
DEFAULT_KEEPALIVE_S = 90.0


class ServerStream(Response):
    """Sends messages in envelopes until the source ends.

    Args:
        messages: the encoded messages; it raises ConnectError or GuestError to end in an error.
        keepalive: an encoded message for idle times; None sends none.
        keepalive_s: how long a stream may be idle.
        timeout_s: when the stream ends in deadline_exceeded; None never.
        on_deadline: called then, before the stream ends.
        on_gone: called where the sandbox died under the stream.
    """

    def __init__(
        self,
        messages: AsyncIterator[bytes],
        *,
        keepalive: bytes | None = None,
        keepalive_s: float = DEFAULT_KEEPALIVE_S,
        timeout_s: float | None = None,
        on_deadline: Callable[[], Awaitable[None]] | None = None,
        on_gone: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(status_code=200, headers={"content-type": STREAM_TYPE})
        # The base class counted an empty body.
        del self.headers["content-length"]
        self._messages = messages
        self._keepalive = keepalive
        self._keepalive_s = keepalive_s
        self._timeout_s = timeout_s
        self._on_deadline = on_deadline
        self._on_gone = on_gone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the stream; returns at its end or when the client leaves."""
        del scope
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        sending = asyncio.ensure_future(self._send_all(send))
        leaving = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
        if not sending.cancelled() and (error := sending.exception()) is not None:
            raise error

    async def _send_all(self, send: Send) -> None:
        last = end_envelope()
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._send_messages(send)
        except TimeoutError:
            if self._on_deadline is not None:
                await self._on_deadline()
            last = end_envelope(ConnectError("deadline_exceeded", "context deadline exceeded"))
        except ConnectError as error:
            last = end_envelope(error)
        except GuestError as error:
            last = end_envelope(ConnectError(error.code, error.message))
        except SandboxGoneError:
            if self._on_gone is not None:
                self._on_gone()
            return
        await send({"type": "http.response.body", "body": last, "more_body": False})

    async def _send_messages(self, send: Send) -> None:
        """Sends each message as it comes, and a keepalive where none comes for long."""
        upcoming: asyncio.Task[bytes | None] | None = None
        try:
            while True:
                upcoming = upcoming or asyncio.create_task(self._next())
                # Waited for, not cancelled by a timeout: a message half read is lost.
                done, _ = await asyncio.wait((upcoming,), timeout=self._keepalive_s)
                if done:
                    message, upcoming = upcoming.result(), None
                    if message is None:
                        return
                else:
                    message = self._keepalive
                if message is not None:
                    await _send_body(send, envelope(message))
        finally:
            if upcoming is not None:
                upcoming.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await upcoming
            close = getattr(self._messages, "aclose", None)
            if close is not None:
                await close()

    async def _next(self) -> bytes | None:
        return await anext(self._messages, None)


async def _send_body(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _disconnected(receive: Receive) -> None:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
