"""Sandboxes for the tests of the agent, from one host."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from guest_lab import Guest, Lab, eventually, opened_lab

from harness.emulator.isolation.user_ids import can_map_range

KINDS = ["many ids", "one id"] if can_map_range() else ["one id"]


@pytest.fixture(scope="package", params=KINDS)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One host of sandboxes for all tests of the package: as root has it, and as others do."""
    folder = tmp_path_factory.mktemp("guest") / "state"
    with opened_lab(folder, one_user_id=request.param == "one id") as lab:
        yield lab


@pytest.fixture(scope="module")
def shared_guest(lab: Lab) -> Iterator[Guest]:
    """One sandbox for the tests of a module."""
    guest = lab.start()
    yield guest
    lab.do(lambda: lab.host.discard(guest.sandbox.sandbox_id))


@pytest.fixture
def guest(shared_guest: Guest) -> Iterator[Guest]:
    """A sandbox without processes and with an empty home."""
    yield shared_guest
    clean = "kill -9 -1; find /home/user -mindepth 1 -delete; chown user: /home/user"
    shared_guest.run(f"{clean}", user="root")
    # A process that was killed is listed until it has been reaped.
    eventually(lambda: shared_guest.call("process.list") == {"processes": []})
