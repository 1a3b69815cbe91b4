"""The Connect protocol by the byte."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from harness.emulator.envd.connect import (
    ConnectError,
    JsonCodec,
    end_envelope,
    envelope,
    read_envelopes,
    read_single_envelope,
    read_unary,
    timeout_s_of,
)


def request(chunks: Iterable[bytes] = (), *, leaves: bool = False, **headers: str) -> Request:
    """A request whose body arrives in these chunks."""
    messages: list[Message] = [
        {"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks
    ]
    last: Message = {"type": "http.request", "body": b"", "more_body": False}
    messages.append({"type": "http.disconnect"} if leaves else last)

    async def receive() -> Message:
        return messages.pop(0)

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": raw}, receive)


def envelopes(*chunks: bytes, leaves: bool = False) -> list[bytes]:
    async def run() -> list[bytes]:
        return [message async for message in read_envelopes(request(chunks, leaves=leaves))]

    return asyncio.run(run())


@given(
    st.lists(st.binary(max_size=200), max_size=5),
    st.integers(min_value=1, max_value=50),
)
def test_envelopes_are_read_however_they_are_cut(messages: list[bytes], size: int) -> None:
    """The borders of chunks mean nothing."""
    wire = b"".join(envelope(message) for message in messages)
    chunks = [wire[start : start + size] for start in range(0, len(wire), size)]
    assert envelopes(*chunks) == messages


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        (b"\0\0\0\0\x05abc", "invalid_argument"),
        (b"\0\0", "invalid_argument"),
        (b"\x01\0\0\0\x01a", "unimplemented"),
        (b"\0\xff\xff\xff\xff", "resource_exhausted"),
    ],
)
def test_broken_envelope_has_its_code(wire: bytes, code: str) -> None:
    """Incomplete, compressed, or too large to be meant."""
    with pytest.raises(ConnectError) as failure:
        envelopes(wire)
    assert failure.value.code == code


def test_client_that_leaves_in_the_middle_has_cancelled() -> None:
    """It is no server error."""
    with pytest.raises(ConnectError) as failure:
        envelopes(envelope(b"a"), b"\0\0", leaves=True)
    assert failure.value.code == "canceled"


@pytest.mark.parametrize("count", [0, 2])
def test_server_stream_takes_exactly_one_message(count: int) -> None:
    """Neither none nor two."""
    with pytest.raises(ConnectError, match=f"not {count}"):
        asyncio.run(read_single_envelope(request([envelope(b"{}")] * count)))


def test_end_envelope_is_flagged_and_holds_the_error() -> None:
    """An empty object where there is none."""
    flags, length = struct.unpack(">BI", end_envelope()[:5])
    assert (flags, length, end_envelope()[5:]) == (2, 2, b"{}")
    body = json.loads(end_envelope(ConnectError("not_found", "gone"))[5:])
    assert body == {"error": {"code": "not_found", "message": "gone"}}


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("not_found", 404),
        ("already_exists", 409),
        ("unauthenticated", 401),
        ("canceled", 499),
        ("unimplemented", 501),
        ("made_up", 500),
    ],
)
def test_unary_error_has_connects_http_status(code: str, status: int) -> None:
    """The table of the protocol."""
    assert ConnectError(code, "").http_status == status


def test_codec_takes_objects_only_and_nothing_as_an_empty_one() -> None:
    """A list is no message."""
    codec = JsonCodec()
    assert codec.decode(b"") == {}
    assert codec.decode(codec.encode({"a": "ü"})) == {"a": "ü"}
    for wrong in (b"[]", b"nonsense", b"1"):
        with pytest.raises(ConnectError, match="unmarshal"):
            codec.decode(wrong)


def test_unary_body_is_joined_and_never_compressed() -> None:
    """Compression is refused, as it was never offered."""
    assert asyncio.run(read_unary(request([b"{", b"}"]))) == b"{}"
    with pytest.raises(ConnectError, match="compressed"):
        asyncio.run(read_unary(request([b"x"], content_encoding="gzip")))


@pytest.mark.parametrize(
    ("header", "expected"),
    [({}, None), ({"connect_timeout_ms": "0"}, None), ({"connect_timeout_ms": "1500"}, 1.5)],
)
def test_timeout_is_in_milliseconds(header: dict[str, Any], expected: float | None) -> None:
    """Zero is none."""
    assert timeout_s_of(request(**header)) == expected


def test_timeout_that_is_no_number_is_refused() -> None:
    """The client made a mistake and hears of it."""
    with pytest.raises(ConnectError, match="invalid timeout"):
        timeout_s_of(request(connect_timeout_ms="soon"))
