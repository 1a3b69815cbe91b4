"""Names below localhost are found while an emulator is held, and by nobody else."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from harness.emulator.local_names import local_names

NAME = "8000-i1.localhost"


@pytest.fixture(autouse=True)
def _resolver_that_knows_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose name server has never heard of anything below localhost."""
    resolve = socket.getaddrinfo

    def without_names(host: str | None, *args: Any, **options: Any) -> Any:
        if host is not None and host.endswith("host"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", without_names)


@pytest.mark.parametrize("name", [NAME, NAME.upper() + ".", "A.b.LocalHost"])
def test_name_below_localhost_is_the_loopback_address(name: str) -> None:
    """In any case, with the dot of the root or without, and for asyncio too."""

    async def found() -> object:
        return await asyncio.get_running_loop().getaddrinfo(name, 80)

    with local_names():
        assert {entry[4][0] for entry in socket.getaddrinfo(name, 80)} == {"127.0.0.1"}
        assert asyncio.run(found())


@pytest.mark.parametrize("name", ["notlocalhost", "localhost.example.host"])
def test_other_names_are_asked_for_as_before(name: str) -> None:
    """The control: nothing but names below localhost is answered here."""
    with local_names(), pytest.raises(socket.gaierror):
        socket.getaddrinfo(name, 80)


def test_names_are_found_until_the_last_one_has_left() -> None:
    """Two emulators of one process, the first of which ends first."""
    before = socket.getaddrinfo
    first, second = local_names(), local_names()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert socket.getaddrinfo(NAME, 80)
    second.__exit__(None, None, None)
    assert socket.getaddrinfo is before
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo(NAME, 80)
