"""One request on its way to a server inside a sandbox, and the answer back, as HTTP/1.1."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import h11
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from harness.emulator.exchange import Exchange, exchange_of
from harness.emulator.isolation import GuestStream
from harness.emulator.proxy import canonical_name

__all__ = ["ForwardedAnswer"]

_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)


class ForwardedAnswer(Response):
    """Sends the request through an open connection and the answer back.

    Args:
        request: the client's request.
        host: the Host that the server is told.
        stream: the connection.
        stack: closes it.
    """

    def __init__(
        self,
        request: Request,
        host: str,
        stream: GuestStream,
        stack: AsyncExitStack,
    ) -> None:
        super().__init__()
        self._host = host
        self._stream = stream
        self._stack = stack
        self._exchange: Exchange = exchange_of(request)
        self._http = h11.Connection(h11.CLIENT)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes both on; returns when the answer is complete, or the client has left."""
        async with self._stack:
            uploading = asyncio.ensure_future(self._upload(scope, receive))
            relaying = asyncio.ensure_future(self._relay(scope, receive, send))
            try:
                await asyncio.wait((uploading, relaying), return_when=asyncio.FIRST_COMPLETED)
                if uploading.done() and uploading.exception() is not None:
                    # The server may have answered and closed without reading the body.
                    await relaying
            finally:
                for task in (uploading, relaying):
                    task.cancel()
                await asyncio.gather(uploading, relaying, return_exceptions=True)
            if not relaying.cancelled() and (error := relaying.exception()) is not None:
                raise error

    async def _upload(self, scope: Scope, receive: Receive) -> None:
        """Sends head and body; returns when the client has left."""
        await self._stream.send(self._head(scope))
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            if self._http.our_state is not h11.SEND_BODY:
                continue
            if body := message.get("body", b""):
                await self._forward(h11.Data(data=body))
            if not message.get("more_body", False):
                await self._forward(h11.EndOfMessage())

    async def _forward(self, event: h11.Event) -> None:
        if data := self._http.send(event):
            await self._stream.send(data)

    def _head(self, scope: Scope) -> bytes:
        path: bytes = scope["raw_path"]
        if scope["query_string"]:
            path += b"?" + scope["query_string"]
        headers = [(b"Host", self._host.encode("latin-1"))]
        headers += [
            (canonical_name(name), value)
            for name, value in scope["headers"]
            if name not in _HOP_BY_HOP and name != b"host"
        ]
        if b"chunked" in dict(scope["headers"]).get(b"transfer-encoding", b""):
            headers.append((b"Transfer-Encoding", b"chunked"))
        head = h11.Request(method=scope["method"], target=path, headers=headers)
        return self._http.send(head) or b""

    async def _relay(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answered = await self._relay_events(send)
            problem = "it closed the connection without an answer"
        except h11.RemoteProtocolError as error:
            answered = False
            problem = f"it does not speak HTTP: {error}"
        if answered:
            return
        if self._exchange.started:
            self._exchange.reset()
        else:
            text = f"the server in the sandbox failed: {problem}\n"
            await PlainTextResponse(text, 502)(scope, receive, send)

    async def _relay_events(self, send: Send) -> bool:
        """Passes the answer on; whether it was a whole one."""
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._read())
            elif isinstance(event, h11.Response):
                await send(_start(event))
            elif isinstance(event, h11.Data):
                body = bytes(event.data)
                await send({"type": "http.response.body", "body": body, "more_body": True})
            elif isinstance(event, h11.EndOfMessage):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return True
            elif isinstance(event, h11.ConnectionClosed):
                return False

    async def _read(self) -> bytes:
        """Bytes of the answer, empty at its end."""
        async for frame in self._stream:
            if isinstance(frame, bytes):
                return frame
            if frame.get("event") == "eof":
                break  # the call goes on for as long as the client may send
        return b""


def _start(response: h11.Response) -> dict[str, Any]:
    headers = [(name, value) for name, value in response.headers if name.lower() not in _HOP_BY_HOP]
    return {"type": "http.response.start", "status": response.status_code, "headers": headers}
