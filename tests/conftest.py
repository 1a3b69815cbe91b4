"""What holds for every test of this project: no E2B variable leaks in, nothing leaves loopback."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from harness.settings import ENVIRONMENT_NAMES

# An example, or a draw, that takes long on a busy machine is no failure.
settings.register_profile("harness", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("harness")


@pytest.fixture(autouse=True)
def _scrubbed_environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person's own key or E2B variable has no effect on a test that did not ask for it."""
    if request.node.get_closest_marker("e2b_live"):
        return
    for name in list(os.environ):
        if name.startswith("E2B_") or name in ENVIRONMENT_NAMES:
            monkeypatch.delenv(name)


@pytest.fixture
def unused_tcp_port() -> Iterator[int]:
    """A port of loopback on which nothing listens, nor can while the test goes on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
