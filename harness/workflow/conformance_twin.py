"""A pytest plugin for somebody else's suite: sandboxes come without what denies them anything.

A test that only shows that something is out of reach must fail with it; one that passes
would pass with no network at all. It is copied beside that suite and runs in the suite's
own environment, so it needs pytest and some SDK only.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

import pytest

__all__ = ["allowing"]

_DENIALS = ("network", "allow_internet_access")


@pytest.fixture(autouse=True)
def allowing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has every sandbox reach whatever there is."""
    e2b = importlib.import_module("e2b")
    for kind in (e2b.Sandbox, e2b.AsyncSandbox):
        monkeypatch.setattr(kind, "create", _without_denials(kind.create))


def _without_denials(create: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(create)
    def allowed(*args: Any, **options: Any) -> Any:
        kept = {name: value for name, value in options.items() if name not in _DENIALS}
        return create(*args, **kept)

    return allowed
