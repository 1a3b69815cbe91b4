"""The frames of the guest protocol, from the agent's side of one connection.

Standard library only, Python 3.9 and later: this runs inside the sandbox. The format
is described in PROTOCOL.md.
"""

from __future__ import annotations

import struct

from .lean import Lock, dumps, loads

TYPE_CHECKING = False  # typing's own costs every start of an agent its import
if TYPE_CHECKING:
    from collections.abc import Iterator
    from socket import socket
    from typing import Any

    Json = dict[str, Any]

__all__ = ["CHUNK_BYTES", "Channel", "Fault", "HangUp"]

CHUNK_BYTES = 256 * 1024
_HEADER = struct.Struct(">cI")
_SHUT_WR = 1
_LARGEST_FRAME = 64 * 1024 * 1024


class Fault(Exception):  # noqa: N818 - it is an answer, not a crash
    """A refusal that the client is told: one of Connect's codes and a message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class HangUp(Exception):  # noqa: N818 - the ordinary end of a call that its client left
    """The server closed the connection."""


class Channel:
    """One call: frames in, frames out, and exactly one last frame."""

    def __init__(self, connection: socket) -> None:
        self.connection = connection
        self._finished = False
        self._writing = Lock()

    def receive(self) -> tuple[str, bytes]:
        """The next frame, as its kind ("J", "B" or "E") and payload.

        Raises:
            HangUp: the server closed the connection.
        """
        kind, length = _HEADER.unpack(self._exactly(_HEADER.size))
        if length > _LARGEST_FRAME:
            raise Fault("invalid_argument", f"a frame of {length} bytes is too large")
        return kind.decode("latin-1"), bytes(self._exactly(length))

    def request(self) -> Json:
        """The first frame: which call it is, with its parameters."""
        kind, payload = self.receive()
        if kind != "J":
            raise Fault("invalid_argument", f"a call begins with a J frame, not {kind}")
        request = loads(payload)
        if not isinstance(request, dict):
            raise Fault("invalid_argument", "a call is a JSON object")
        return request

    def chunks(self) -> Iterator[bytes]:
        """The bytes of each B frame until the E frame."""
        while True:
            kind, payload = self.receive()
            if kind == "E":
                return
            if kind != "B":
                raise Fault("invalid_argument", f"expected a B or E frame, not {kind}")
            yield payload

    def event(self, event: Json) -> None:
        """Sends one event."""
        self._send(_json_frame(event))

    def data(self, data: bytes) -> None:
        """Sends bytes as one frame."""
        self._send(_HEADER.pack(b"B", len(data)) + data)

    def event_with_data(self, event: Json, data: bytes) -> None:
        """Sends an event and the bytes that belong to it."""
        self._send(_json_frame(event) + _HEADER.pack(b"B", len(data)) + data)

    def end_of_data(self) -> None:
        """Says that no more bytes follow."""
        self._send(_HEADER.pack(b"E", 0))

    def finish(self, result: Json) -> None:
        """Sends the last frame of a call that went well."""
        self._last({"ok": True, "result": result})

    def fail(self, fault: Fault) -> None:
        """Sends the last frame of a call that was refused."""
        self._last({"ok": False, "code": fault.code, "message": fault.message})

    def wait_for_hang_up(self) -> None:
        """Returns once the server has closed, or this side was closed."""
        try:
            while self.connection.recv(4096):
                pass
        except OSError:
            return

    def close(self) -> None:
        """Ends the connection; what was sent still arrives."""
        self.connection.close()

    def _last(self, answer: Json) -> None:
        if self._finished:
            return
        self._finished = True
        self._send(_json_frame(answer))
        try:
            self.connection.shutdown(_SHUT_WR)
        except OSError:
            return

    def _send(self, frame: bytes) -> None:
        try:
            with self._writing:
                self.connection.sendall(frame)
        except OSError as error:
            raise HangUp from error

    def _exactly(self, size: int) -> bytearray:
        buffer = bytearray(size)
        view = memoryview(buffer)
        while view:
            try:
                count = self.connection.recv_into(view)
            except OSError as error:
                raise HangUp from error
            if not count:
                raise HangUp
            view = view[count:]
        return buffer


def _json_frame(value: Json) -> bytes:
    # Names of files may hold any bytes; surrogates keep them through JSON's \u escapes.
    payload = dumps(value)
    return _HEADER.pack(b"J", len(payload)) + payload
