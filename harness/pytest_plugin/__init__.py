"""The pytest plugin: markers, fixtures, and what becomes of a test that cannot run.

Another repository gets it by installing the package. The fixtures are in
`fixtures.py` (an E2B to talk to) and `osiris.py` (Osiris on top of it); the
rules about live tests are in `live.py`.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

import pytest

from harness.lifeline import die_with_parent
from harness.pytest_plugin.fixtures import (
    _harness_emulators,
    _harness_gateways,
    e2b_endpoint,
    e2b_env,
    harness_settings,
)
from harness.pytest_plugin.live import LIVE_ENDPOINTS, refuse_unless_live_can_run
from harness.pytest_plugin.osiris import (
    _create_test_e2b_adapter,
    e2b_adapter,
    e2b_sandbox,
    error_pipeline,
    execution_context,
    local_adapter,
    make_execution_context,
    osiris_target,
    parity_pipeline,
    resource_intensive_pipeline,
    small_pipeline,
    timeout_prone_pipeline,
)
from harness.pytest_plugin.understood import e2b_understood

__all__ = [
    "_create_test_e2b_adapter",
    "_harness_emulators",
    "_harness_gateways",
    "e2b_adapter",
    "e2b_endpoint",
    "e2b_env",
    "e2b_sandbox",
    "e2b_understood",
    "error_pipeline",
    "execution_context",
    "harness_settings",
    "local_adapter",
    "make_execution_context",
    "osiris_target",
    "parity_pipeline",
    "pytest_addoption",
    "pytest_configure",
    "pytest_runtest_setup",
    "resource_intensive_pipeline",
    "small_pipeline",
    "timeout_prone_pipeline",
]

MARKERS = {
    "e2b": "all tests that speak to E2B, the emulator or the real one",
    "e2b_live": "tests that require the real E2B (E2B_API_KEY and E2B_LIVE_TESTS=1)",
    "e2b_smoke": "quick smoke tests",
    "e2b_leaves_sandboxes": "the test may leave sandboxes running; they are ended after it",
    "parity": "comparison of a local run with one in a sandbox",
    "slow": "long-running tests",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """The plugin's options, all in the group `e2b`."""
    group = parser.getgroup("e2b", "code that runs in E2B sandboxes")
    group.addoption(
        "--e2b-live",
        action="store_true",
        help="run every test that uses e2b_endpoint live; counts as E2B_LIVE_TESTS=1",
    )
    group.addoption(
        "--live-endpoint",
        choices=LIVE_ENDPOINTS,
        default="service",
        help="what stands at the far end of live tests: the real service, or the emulator "
        "in its place (so that live tests can be tested offline)",
    )
    group.addoption(
        "--e2b-gateway",
        action="store_true",
        help="put a gateway before the emulator: every test must end as it does without one",
    )
    group.addoption(
        "--e2b-require",
        action="store_true",
        help="a live test that cannot run is a failure (also E2B_REQUIRED=1)",
    )
    group.addoption("--osiris", metavar="VERSION", help="the version of osiris-pipeline under test")
    parser.addini(
        "e2b_template_packages",
        type="linelist",
        help="requirements that the emulator's sandboxes offer to Python code",
    )

    parser.addini(
        "e2b_allow_leftovers",
        type="bool",
        default=False,
        help="tests may leave sandboxes running; they are ended after each test",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Registers the markers and makes SIGTERM an orderly end."""
    for name, meaning in MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        # pytest runs no finalizer on SIGTERM by itself, and sandboxes would stay.
        signal.signal(signal.SIGTERM, _interrupt)
    if "NOX_CURRENT_SESSION" in os.environ:
        die_with_parent()  # a nox that got SIGTERM would leave this process running


def _interrupt(signum: int, frame: FrameType | None) -> None:
    del signum, frame
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt("SIGTERM")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A live test without key or flag does not run, in the words that users know."""
    refuse_unless_live_can_run(item)
