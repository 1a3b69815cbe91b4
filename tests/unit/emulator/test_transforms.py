"""What a transform does to the head of a request."""

from __future__ import annotations

from harness.emulator.transforms import with_headers

HEAD = (
    b"POST /a?b HTTP/1.1\r\nHost: x\r\nx-Told: own\r\nX-Told-Not: y\r\n"
    b"Connection: keep-alive\r\n\r\n"
)


def test_headers_are_set_over_those_of_the_client() -> None:
    """Every header of that name gives way, whatever its case; the others stay in order."""
    assert with_headers(HEAD, {"X-Told": "rule"}) == (
        b"POST /a?b HTTP/1.1\r\nHost: x\r\nX-Told-Not: y\r\n"
        b"X-Told: rule\r\nConnection: close\r\n\r\n"
    )


def test_head_without_headers_gets_them() -> None:
    """A bare request line is a whole head."""
    assert with_headers(b"GET / HTTP/1.0\r\n\r\n", {"A": "b"}) == (
        b"GET / HTTP/1.0\r\nA: b\r\nConnection: close\r\n\r\n"
    )
