"""The Connect protocol over starlette: unary calls, streams, envelopes and errors.

Written here and not taken from connectrpc, because faults must be able to cut an
envelope and reset a connection, which needs the bytes in our hands.
Source: connectrpc.com/docs/protocol; e2b 2.63.0 e2b/envd/client_shared.py (JSON codec,
no compression).
"""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from harness.emulator.answers import JsonAnswer

__all__ = [
    "Codec",
    "ConnectError",
    "JsonCodec",
    "end_envelope",
    "envelope",
    "read_envelopes",
    "read_single_envelope",
    "read_unary",
    "timeout_s_of",
    "unary_answer",
    "unary_error",
]

END_STREAM = 0x02
COMPRESSED = 0x01
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
STREAM_TYPE = "application/connect+json"
_PREFIX = struct.Struct(">BI")
_HTTP_STATUS = {
    "canceled": 499,
    "unknown": 500,
    "invalid_argument": 400,
    "deadline_exceeded": 504,
    "not_found": 404,
    "already_exists": 409,
    "permission_denied": 403,
    "resource_exhausted": 429,
    "failed_precondition": 400,
    "aborted": 409,
    "out_of_range": 400,
    "unimplemented": 501,
    "internal": 500,
    "unavailable": 503,
    "data_loss": 500,
    "unauthenticated": 401,
}


class ConnectError(Exception):
    """A call that ends in an error.

    Args:
        code: Connect's name of it, such as "not_found".
        message: the words for the client.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message

    @property
    def http_status(self) -> int:
        """The HTTP status of a unary call that ends in it."""
        return _HTTP_STATUS.get(self.code, 500)

    def to_json(self) -> dict[str, str]:
        """The error as Connect writes it."""
        return {"code": self.code, "message": self.message}


class Codec(Protocol):
    """How messages are written; a binary one can stand beside the JSON one."""

    def encode(self, message: Mapping[str, Any]) -> bytes:
        """The message's bytes."""
        ...

    def decode(self, data: bytes) -> dict[str, Any]:
        """The message of these bytes.

        Raises:
            ConnectError: invalid_argument where they are none.
        """
        ...


class JsonCodec:
    """Messages in proto3's JSON mapping, as plain dictionaries."""

    def encode(self, message: Mapping[str, Any]) -> bytes:
        """The message's bytes."""
        return json.dumps(message, separators=(",", ":")).encode()

    def decode(self, data: bytes) -> dict[str, Any]:
        """The message of these bytes; none at all is an empty message.

        Raises:
            ConnectError: invalid_argument where they are not a JSON object.
        """
        try:
            message = json.loads(data) if data else {}
        except ValueError as error:
            raise ConnectError("invalid_argument", f"unmarshal message: {error}") from error
        if not isinstance(message, dict):
            raise ConnectError("invalid_argument", "unmarshal message: not a JSON object")
        return message


def envelope(data: bytes, *, flags: int = 0) -> bytes:
    """One message of a stream with its five-byte prefix."""
    return _PREFIX.pack(flags, len(data)) + data


def end_envelope(error: ConnectError | None = None) -> bytes:
    """The last envelope of a stream, which is always needed."""
    body = {} if error is None else {"error": error.to_json()}
    return envelope(json.dumps(body).encode(), flags=END_STREAM)


async def read_envelopes(request: Request) -> AsyncIterator[bytes]:
    """The messages of a streamed request, as they arrive.

    Raises:
        ConnectError: for a compressed, oversized or broken envelope, or a client that
            went away in the middle.
    """
    buffer = bytearray()
    try:
        async for chunk in request.stream():
            buffer += chunk
            while len(buffer) >= _PREFIX.size:
                flags, length = _PREFIX.unpack_from(buffer)
                _check_envelope(flags, length)
                if len(buffer) < _PREFIX.size + length:
                    break
                message = bytes(buffer[_PREFIX.size : _PREFIX.size + length])
                del buffer[: _PREFIX.size + length]
                if not flags & END_STREAM:
                    yield message
    except ClientDisconnect as error:
        raise ConnectError("canceled", "the client went away") from error
    if buffer:
        raise ConnectError("invalid_argument", "protocol error: incomplete envelope")


def _check_envelope(flags: int, length: int) -> None:
    if flags & COMPRESSED:
        raise ConnectError("unimplemented", "compressed envelopes are not supported")
    if length > MAX_MESSAGE_BYTES:
        raise ConnectError(
            "resource_exhausted", f"message size {length} is larger than {MAX_MESSAGE_BYTES}"
        )


async def read_single_envelope(request: Request) -> bytes:
    """The one message of a request to a server stream.

    Raises:
        ConnectError: where there is not exactly one.
    """
    messages = [message async for message in read_envelopes(request)]
    if len(messages) != 1:
        raise ConnectError(
            "invalid_argument", f"a server stream takes one message, not {len(messages)}"
        )
    return messages[0]


async def read_unary(request: Request) -> bytes:
    """The message of a unary request.

    Raises:
        ConnectError: where it is too large, or compressed.
    """
    if request.headers.get("content-encoding", "identity") != "identity":
        raise ConnectError("unimplemented", "compressed requests are not supported")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        _check_envelope(0, len(body))
    return bytes(body)


def timeout_s_of(request: Request) -> float | None:
    """The client's deadline for the call in seconds; None where it set none.

    Raises:
        ConnectError: invalid_argument where the header is not a number of milliseconds.
    """
    text = request.headers.get("connect-timeout-ms")
    if not text:
        return None
    if not text.isdecimal():
        raise ConnectError("invalid_argument", f"protocol error: invalid timeout {text!r}")
    return int(text) / 1000 or None


def unary_answer(data: bytes) -> Response:
    """The answer of a unary call."""
    return Response(data, headers={"content-type": "application/json"})


def unary_error(error: ConnectError) -> Response:
    """The error of a unary call."""
    answer = JsonAnswer(error.to_json(), status=error.http_status)
    answer.headers["content-type"] = "application/json"
    return answer
