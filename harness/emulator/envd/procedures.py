"""How a procedure of envd is called: unary, with a stream out, or with a stream in.

A service lists its procedures; what is here reads the messages, calls, and turns
every failure into the form that the kind of call needs.

Differs: messages are JSON; the binary codec is refused with 415. No SDK sends it (e2b 2.63.0
e2b/envd/client_shared.py; e2b for JavaScript 2.51.0 sets useBinaryFormat to false).
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from starlette.responses import Response

from harness.emulator.envd.caller import Caller
from harness.emulator.envd.connect import (
    STREAM_TYPE,
    Codec,
    ConnectError,
    JsonCodec,
    end_envelope,
    envelope,
    read_envelopes,
    read_single_envelope,
    read_unary,
    timeout_s_of,
    unary_answer,
    unary_error,
)
from harness.emulator.envd.messages import unknown_fields
from harness.emulator.envd.proto_json import Fields
from harness.emulator.envd.streams import DEFAULT_KEEPALIVE_S, ServerStream
from harness.emulator.isolation import GuestError

__all__ = ["ClientStreamIn", "Kind", "Procedure", "Procedures", "StreamOut", "answer_call"]

ClientStreamIn = AsyncIterator[Fields]
_CODECS: dict[str, Codec] = {"json": JsonCodec()}


class Kind(Enum):
    """Which side streams."""

    UNARY = "unary"
    SERVER_STREAM = "server stream"
    CLIENT_STREAM = "client stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOut:
    """What a server stream sends.

    Attributes:
        messages: the encoded messages.
        keepalive: the encoded message for idle times.
        timeout_s: the client's deadline; None for none.
        on_deadline: called when it has passed.
    """

    messages: AsyncIterator[bytes]
    keepalive: bytes | None = None
    timeout_s: float | None = None
    on_deadline: Callable[[], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Procedure:
    """One procedure.

    Attributes:
        kind: which side streams.
        run: the implementation, of the kind's form.
    """

    kind: Kind
    run: Callable[[Caller, Any], Awaitable[Any]]

    @classmethod
    def unary(cls, run: Callable[[Caller, Fields], Awaitable[dict[str, Any]]]) -> Procedure:
        """One message in, one out."""
        return cls(kind=Kind.UNARY, run=run)

    @classmethod
    def server_stream(cls, run: Callable[[Caller, Fields], Awaitable[StreamOut]]) -> Procedure:
        """One message in, many out."""
        return cls(kind=Kind.SERVER_STREAM, run=run)

    @classmethod
    def client_stream(
        cls, run: Callable[[Caller, ClientStreamIn], Awaitable[dict[str, Any]]]
    ) -> Procedure:
        """Many messages in, one out."""
        return cls(kind=Kind.CLIENT_STREAM, run=run)


class Procedures(ABC):
    """A service: a name and its procedures."""

    name: str

    @abstractmethod
    def procedures(self) -> dict[str, Procedure]:
        """The procedures by name."""


async def answer_call(procedure: Procedure, caller: Caller) -> Response:
    """Calls a procedure.

    Raises:
        SandboxGoneError: the sandbox died before anything was answered.
    """
    codec = _codec_of(caller, streaming=procedure.kind is not Kind.UNARY)
    if codec is None:
        return Response(
            status_code=415, headers={"Accept-Post": "application/json, " + STREAM_TYPE}
        )
    if procedure.kind is Kind.UNARY:
        return await _answer_unary(procedure, caller, codec)
    if procedure.kind is Kind.SERVER_STREAM:
        return await _answer_server_stream(procedure, caller, codec)
    return await _answer_client_stream(procedure, caller, codec)


async def _answer_unary(procedure: Procedure, caller: Caller, codec: Codec) -> Response:
    try:
        async with asyncio.timeout(timeout_s_of(caller.request)):
            fields = _fields(caller, codec.decode(await read_unary(caller.request)))
            return unary_answer(codec.encode(await procedure.run(caller, fields)))
    except ConnectError as error:
        return unary_error(error)
    except GuestError as error:
        return unary_error(ConnectError(error.code, error.message))
    except TimeoutError:
        return unary_error(_deadline())


async def _answer_server_stream(procedure: Procedure, caller: Caller, codec: Codec) -> Response:
    try:
        fields = _fields(caller, codec.decode(await read_single_envelope(caller.request)))
        out: StreamOut = await procedure.run(caller, fields)
        keepalive_s = _keepalive_s(caller)
    except ConnectError as error:
        return _ended_stream(error)
    except GuestError as error:
        return _ended_stream(ConnectError(error.code, error.message))
    return ServerStream(
        out.messages,
        keepalive=out.keepalive,
        keepalive_s=keepalive_s,
        timeout_s=out.timeout_s,
        on_deadline=out.on_deadline,
        on_gone=caller.exchange.reset,
    )


async def _answer_client_stream(procedure: Procedure, caller: Caller, codec: Codec) -> Response:
    try:
        async with asyncio.timeout(timeout_s_of(caller.request)):
            result = await procedure.run(caller, _decoded(caller, codec))
    except ConnectError as error:
        return _ended_stream(error)
    except GuestError as error:
        return _ended_stream(ConnectError(error.code, error.message))
    except TimeoutError:
        return _ended_stream(_deadline())
    body = envelope(codec.encode(result)) + end_envelope()
    return Response(body, headers={"content-type": STREAM_TYPE})


async def _decoded(caller: Caller, codec: Codec) -> ClientStreamIn:
    async for message in read_envelopes(caller.request):
        yield _fields(caller, codec.decode(message))


def _fields(caller: Caller, message: dict[str, Any]) -> Fields:
    """The message; fields that are not known are accepted, and noted once."""
    notes = caller.exchange.entry.notes
    for name in unknown_fields(caller.request.url.path, message):
        note = f"unknown field {name!r}"
        if note not in notes:
            notes.append(note)
    return Fields(message)


def _ended_stream(error: ConnectError) -> Response:
    return Response(end_envelope(error), headers={"content-type": STREAM_TYPE})


def _codec_of(caller: Caller, *, streaming: bool) -> Codec | None:
    content_type = caller.request.headers.get("content-type", "").partition(";")[0].strip()
    prefix = "application/connect+" if streaming else "application/"
    if not content_type.startswith(prefix):
        return None
    return _CODECS.get(content_type.removeprefix(prefix))


def _keepalive_s(caller: Caller) -> float:
    text = caller.request.headers.get("keepalive-ping-interval", "")
    return float(text) if text.isdecimal() and int(text) > 0 else DEFAULT_KEEPALIVE_S


def _deadline() -> ConnectError:
    return ConnectError("deadline_exceeded", "context deadline exceeded")
