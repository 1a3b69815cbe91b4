"""The same contract with a gateway before the emulator: it changes nothing that a client sees.

These are the tests of lives, lists and keys; `nox -s orphans` takes the whole contract.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness.model.side import Endpoint
from harness.sdk import ApiEndpoint
from harness.sdk.gateways import service_behind

SAMPLE = ("test_emulator_lifecycle.py", "test_emulator_keys.py")
CONTROL = "test_gateway_in_front.py::test_option_puts_a_gateway_there"


def test_contract_holds_through_a_gateway(pytestconfig: pytest.Config) -> None:
    """Bodies, headers and errors of lives, lists and keys are those of the service."""
    words = [f"tests/contract/{name}" for name in (*SAMPLE, CONTROL)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--e2b-gateway", *words],
        cwd=pytestconfig.rootpath,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert "skipped" not in done.stdout.splitlines()[-1]


def test_option_puts_a_gateway_there(e2b_endpoint: Endpoint, pytestconfig: pytest.Config) -> None:
    """The control: with the option there is one, without it there is none."""
    endpoint = ApiEndpoint.from_env(e2b_endpoint.env)
    stands_before = service_behind(endpoint) is not endpoint
    assert stands_before is bool(pytestconfig.getoption("--e2b-gateway"))
