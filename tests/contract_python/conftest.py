"""The contract that holds for every version of the Python SDK.

These tests also run in environments that hold nothing but pytest and an `e2b` of some
version; the service is then the one that the variables E2B_API_URL, E2B_SANDBOX_URL
and E2B_API_KEY name. So nothing here imports the harness. What a version does not
have is skipped, with a reason that says so.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import pytest
from e2b import Sandbox

LIFE_S = 120


@pytest.fixture(autouse=True)
def _service(request: pytest.FixtureRequest) -> None:
    """Beside the harness's own tests the service is theirs."""
    if request.config.pluginmanager.has_plugin("harness"):
        request.getfixturevalue("e2b_env")


@pytest.fixture
def make_sandbox() -> Iterator[Callable[..., Any]]:
    """Creates sandboxes that are gone after the test."""
    made: list[Any] = []

    def make(*args: Any, **options: Any) -> Any:
        sandbox = Sandbox.create(*args, **{"timeout": LIFE_S, **options})
        made.append(sandbox)
        return sandbox

    yield make
    for sandbox in made:
        sandbox.kill()


@pytest.fixture
def sandbox(make_sandbox: Callable[..., Any]) -> Any:
    """One running sandbox."""
    return make_sandbox()


@pytest.fixture
def need() -> Callable[..., Any]:
    """Looks up what only some versions have: an attribute, and parameters of it."""

    def look(owner: Any, name: str, *parameters: str) -> Any:
        found = getattr(owner, name, None)
        label = f"{getattr(owner, '__name__', type(owner).__name__)}.{name}"
        if found is None:
            pytest.skip(f"NOT_RUN: e2b {version('e2b')} has no {label}")
        known = inspect.signature(found).parameters if parameters else {}
        for parameter in parameters:
            if parameter not in known:
                pytest.skip(f"NOT_RUN: {label} of e2b {version('e2b')} takes no {parameter!r}")
        return found

    return look
