"""Which host a connection asks for."""

from __future__ import annotations

import ssl

import pytest

from harness.emulator.asked_name import asked_name


def _hello(name: str | None) -> bytes:
    """What a client says first over TLS."""
    context = ssl.create_default_context()
    context.check_hostname = name is not None
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def test_name_is_told_by_tls_and_by_http() -> None:
    """In lower case, without a port."""
    assert asked_name(_hello("8080-abc.e2b.app")) == "8080-abc.e2b.app"
    assert asked_name(b"GET / HTTP/1.1\r\nAccept: */*\r\nHOST: A.Example.com:80\r\n\r\n") == (
        "a.example.com"
    )


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"\x16",
        _hello(None),
        _hello("a.example.com")[:60],
        b"GET / HTTP/1.0\r\n\r\n",
        b"SSH-2.0-x\r\n",
        b"\x16\x03\x01\xff\xff" + b"\0" * 70_000,
    ],
    ids=["nothing", "byte", "no-name", "part", "no-host", "ssh", "noise"],
)
def test_bytes_without_a_name_tell_none(first: bytes) -> None:
    """Whatever came, nothing is raised."""
    assert asked_name(first) == ""
