"""The command line of the emulator and its page."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from harness.emulator.admin.api import Admin
from harness.emulator.command import serve_command
from harness.emulator.faults import FIELDS
from harness.emulator.service import EmulatedService

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "emulator.md").read_text()
OPTIONS = [
    {"as_json": "--json"}.get(name, "--" + name.replace("_", "-"))
    for name in inspect.signature(serve_command).parameters
]


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_is_documented(option: str) -> None:
    """What can be asked for can be read about."""
    assert f"`{option}`" in PAGE


@pytest.mark.parametrize("field", [name for name in FIELDS if name != "route"])
def test_every_fault_is_documented(field: str) -> None:
    """Bad weather is for those who know what there is."""
    assert f"`{field}`" in PAGE


def test_every_admin_route_is_documented() -> None:
    """And only those that exist."""
    service = EmulatedService.__new__(EmulatedService)  # the routes ask nothing of it
    for route in Admin(service, on_reset=lambda: None).routes():
        assert f"`{route.method} {route.pattern.removeprefix('/_harness')}`" in PAGE
