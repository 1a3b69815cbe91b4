"""One file of a sandbox as a streamed response."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from harness.emulator.answers import ApiError
from harness.emulator.envd.caller import Caller
from harness.emulator.isolation import GuestError, GuestStream, SandboxGoneError

__all__ = ["FileStream", "open_file"]

Transform = Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]]
_STATUS = {"not_found": 404, "invalid_argument": 400, "unauthenticated": 401}


class FileStream:
    """A file that has been opened in the sandbox.

    Args:
        caller: who reads it.
        stack: holds the guest's stream open.
        stream: the guest's stream, after its first frame.
        entry: the file, from that frame.
        parameters: the path and the user.
    """

    def __init__(
        self,
        caller: Caller,
        stack: AsyncExitStack,
        stream: GuestStream,
        entry: Mapping[str, Any],
        parameters: Mapping[str, str],
    ) -> None:
        self.entry = entry
        self._caller = caller
        self._stack = stack
        self._stream = stream
        self._parameters = dict(parameters)

    async def close(self) -> None:
        """Lets go of the file."""
        await self._stack.aclose()

    def answer(
        self,
        headers: Mapping[str, str],
        *,
        status: int = 200,
        transform: Transform | None = None,
        offset: int = 0,
        length: int | None = None,
    ) -> Response:
        """The file, or a range of it, as a response that closes it."""
        whole = length is None
        chunks = self._chunks() if length is None else self._range(offset, length)
        if whole and "content-length" in headers:
            # A file that grows meanwhile is answered as long as it was when it was opened.
            chunks = _capped(chunks, int(headers["content-length"]))
        return _FileAnswer(
            chunks if transform is None else transform(chunks),
            status=status,
            headers=headers,
            close=self.close,
            caller=self._caller,
        )

    async def _chunks(self) -> AsyncIterator[bytes]:
        async for frame in self._stream:
            if isinstance(frame, bytes):
                yield frame

    async def _range(self, offset: int, length: int) -> AsyncIterator[bytes]:
        await self._stack.aclose()
        async with self._caller.guest.stream(
            "fs.read", **self._parameters, offset=offset, length=length
        ) as stream:
            async for frame in stream:
                if isinstance(frame, bytes):
                    yield frame


class _FileAnswer(Response):
    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        *,
        status: int,
        headers: Mapping[str, str],
        close: Callable[[], Any],
        caller: Caller,
    ) -> None:
        super().__init__(status_code=status, headers=dict(headers))
        if "content-length" not in headers:
            del self.headers["content-length"]
        self._chunks = chunks
        self._close = close
        self._exchange = caller.exchange

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            await self._send_chunks(send)
        except (GuestError, SandboxGoneError):
            # Half a file must not look like a whole one.
            self._exchange.reset()
        finally:
            await self._close()

    async def _send_chunks(self, send: Send) -> None:
        promised = int(self.headers.get("content-length", "-1"))
        sent = 0
        async for chunk in self._chunks:
            if not self._exchange.connected:
                return
            sent += len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        if promised not in (-1, sent):
            self._exchange.reset()
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _capped(chunks: AsyncIterator[bytes], size: int) -> AsyncIterator[bytes]:
    left = size
    async for chunk in chunks:
        if left:
            yield chunk[:left]
            left -= min(left, len(chunk))


async def open_file(caller: Caller, *, path: str, user: str) -> FileStream:
    """Opens a file in the sandbox.

    Raises:
        ApiError: 404 where nothing is there, 400 for a directory, 401 for an unknown user.
    """
    stack = AsyncExitStack()
    parameters = {"path": path, "user": user}
    try:
        stream = await stack.enter_async_context(caller.guest.stream("fs.read", **parameters))
        first = await anext(stream)
    except GuestError as error:
        await stack.aclose()
        raise ApiError(_STATUS.get(error.code, 500), error.message) from error
    except BaseException:
        await stack.aclose()
        raise
    if isinstance(first, bytes):
        raise TypeError("the guest sent bytes before the entry")
    return FileStream(caller, stack, stream, first["entry"], parameters)
