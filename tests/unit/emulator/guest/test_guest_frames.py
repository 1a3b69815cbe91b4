"""The agent's frames over a plain socket pair."""

from __future__ import annotations

import json
import socket
import struct

import pytest

from harness.emulator.guest.frames import Channel, Fault, HangUp


def frame(kind: bytes, payload: bytes = b"") -> bytes:
    """One frame as PROTOCOL.md describes it."""
    return struct.pack(">cI", kind, len(payload)) + payload


def pair() -> tuple[socket.socket, Channel]:
    """The server's end and the agent's channel."""
    server, agent = socket.socketpair()
    return server, Channel(agent)


def test_request_and_chunks_are_read_to_the_end_frame() -> None:
    """J, then B frames until E."""
    server, channel = pair()
    with server, channel.connection:
        server.sendall(frame(b"J", b'{"op": "x"}') + frame(b"B", b"one") + frame(b"B", b"two"))
        server.sendall(frame(b"E"))
        assert channel.request() == {"op": "x"}
        assert list(channel.chunks()) == [b"one", b"two"]


@pytest.mark.parametrize("first", [frame(b"B", b"x"), frame(b"J", b"[1]")])
def test_call_that_does_not_begin_with_an_object_is_refused(first: bytes) -> None:
    """The first frame is a JSON object, or the call is invalid."""
    server, channel = pair()
    with server, channel.connection:
        server.sendall(first)
        with pytest.raises(Fault):
            channel.request()


def test_closed_connection_is_a_hang_up() -> None:
    """In the middle of a frame, too."""
    server, channel = pair()
    with channel.connection:
        server.sendall(b"J\0")
        server.close()
        with pytest.raises(HangUp):
            channel.receive()
        with pytest.raises(HangUp):
            channel.data(b"x" * 10_000)


def test_only_the_first_last_frame_is_sent() -> None:
    """A call ends once, whoever ends it."""
    server, channel = pair()
    with server:
        channel.finish({"a": 1})
        channel.fail(Fault("internal", "too late"))
        channel.close()
        said = b"".join(iter(lambda: server.recv(4096), b""))
    assert json.loads(said[5:]) == {"ok": True, "result": {"a": 1}}


def test_oversized_frame_is_refused() -> None:
    """A length that nobody means is not allocated."""
    server, channel = pair()
    with server, channel.connection:
        server.sendall(struct.pack(">cI", b"B", 0xFFFFFFFF))
        with pytest.raises(Fault, match="too large"):
            channel.receive()
