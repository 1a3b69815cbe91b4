"""Which sandbox a request is for."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from harness.emulator.routing import BadTargetError, Target, target_of

ID = "i" + "a1" * 10


def headers(host: str, **more: str) -> Headers:
    return Headers(
        {"host": host, **{name.replace("_", "-"): value for name, value in more.items()}}
    )


@pytest.mark.parametrize(
    "host", ["127.0.0.1:3000", "localhost", "localhost:1", "[::1]:80", "sandbox.e2b.app"]
)
def test_headers_name_the_sandbox_on_a_host_that_names_none(host: str) -> None:
    """Addresses, localhost and the shared host route by header."""
    found = target_of(headers(host, e2b_sandbox_id=ID, e2b_sandbox_port="8000"))
    assert found == Target(sandbox_id=ID, port=8000)
    assert target_of(headers(host)) is None


@pytest.mark.parametrize(
    "host",
    [f"8000-{ID}.localhost:3000", f"8000-{ID}.e2b.app", f"8000-{ID}-client1.e2b.app"],
)
def test_host_names_port_and_sandbox(host: str) -> None:
    """The first label, with or without the old client id; headers do not override it."""
    given = headers(host, e2b_sandbox_id="i0", e2b_sandbox_port="1")
    assert target_of(given) == Target(sandbox_id=ID, port=8000)


@pytest.mark.parametrize("host", ["api.example.com", "example.com", "", "8000.localhost"])
def test_host_of_no_sandbox_is_no_target(host: str) -> None:
    """The control plane answers there."""
    assert target_of(headers(host)) is None


@pytest.mark.parametrize(
    ("sandbox_id", "port", "words"),
    [
        (ID, "", "missing header"),
        ("", "80", "missing header"),
        (ID, "http", "Invalid sandbox port"),
        (ID, "70000", "Invalid sandbox port"),
        ("../etc", "80", "Invalid sandbox ID"),
    ],
)
def test_headers_that_cannot_be_are_refused(sandbox_id: str, port: str, words: str) -> None:
    """Half a target or a malformed one is the client's mistake."""
    given = headers("127.0.0.1", e2b_sandbox_id=sandbox_id, e2b_sandbox_port=port)
    with pytest.raises(BadTargetError, match=words):
        target_of(given)
