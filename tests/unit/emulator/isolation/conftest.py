"""Sandboxes for the tests of their walls."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from guest_lab import Guest, Lab, opened_lab

from harness.emulator.isolation.user_ids import can_map_range

KINDS = ["many ids", "one id"] if can_map_range() else ["one id"]


@pytest.fixture(scope="package", params=KINDS)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One host of sandboxes: as root has it, and as others do."""
    folder = tmp_path_factory.mktemp("walls") / "state"
    with opened_lab(folder, one_user_id=request.param == "one id") as lab:
        yield lab


@pytest.fixture
def guest(lab: Lab) -> Iterator[Guest]:
    """A fresh sandbox, killed and deleted afterwards."""
    guest = lab.start()
    yield guest
    lab.do(lambda: lab.host.discard(guest.sandbox.sandbox_id))
