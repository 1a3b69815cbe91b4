"""A sandbox for each test, from one host."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from guest_lab import Guest, Lab, opened_lab


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One host of sandboxes for all tests of the package."""
    with opened_lab(tmp_path_factory.mktemp("guest") / "state") as lab:
        yield lab


@pytest.fixture
def guest(lab: Lab) -> Iterator[Guest]:
    """A fresh sandbox, killed afterwards."""
    guest = lab.start()
    yield guest
    lab.do(lambda: lab.host.discard(guest.sandbox.sandbox_id))
