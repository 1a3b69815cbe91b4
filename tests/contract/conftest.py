"""Sandboxes for the contract: made by the real SDK, against whatever `e2b_endpoint` is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from e2b import Sandbox
from e2b_code_interpreter import Sandbox as CodeSandbox

from harness.emulator.attach import AdminClient, admin
from harness.model.side import Endpoint
from harness.pytest_plugin.fixtures import E2BEnvironment

LIFE_S = 120


@pytest.fixture
def make_sandbox(e2b_env: E2BEnvironment) -> Iterator[Callable[..., Sandbox]]:
    """Creates sandboxes that are gone after the test."""
    made: list[Sandbox] = []
    assert e2b_env.timeout_s >= LIFE_S, "E2B_TIMEOUT is too short for these tests"

    def make(*args: Any, **options: Any) -> Sandbox:
        sandbox = Sandbox.create(*args, **{"timeout": LIFE_S, **options})
        made.append(sandbox)
        return sandbox

    yield make
    for sandbox in made:
        sandbox.kill()


@pytest.fixture
def sandbox(make_sandbox: Callable[..., Sandbox]) -> Sandbox:
    """One running sandbox."""
    return make_sandbox()


@pytest.fixture
def code_sandbox(e2b_env: E2BEnvironment) -> Iterator[Callable[..., CodeSandbox]]:
    """Creates sandboxes of the code interpreter that are gone after the test."""
    made: list[CodeSandbox] = []
    assert e2b_env.timeout_s >= LIFE_S, "E2B_TIMEOUT is too short for these tests"

    def make(**options: Any) -> CodeSandbox:
        sandbox = CodeSandbox.create(**{"timeout": LIFE_S, **options})
        made.append(sandbox)
        return sandbox

    yield make
    for sandbox in made:
        sandbox.kill()


@pytest.fixture
def emulator(e2b_endpoint: Endpoint) -> AdminClient:
    """The emulator's own interface; what needs it is not asked of the live service."""
    if e2b_endpoint.name != "emulator":
        pytest.skip("NOT_RUN: only an emulator has a clock, faults and a ledger")
    return admin(e2b_endpoint)
