"""An emulator that was not asked to run code."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from e2b import TimeoutException
from e2b_code_interpreter import Sandbox

from harness.emulator.attach import AdminClient


def test_code_is_refused_as_by_a_closed_port_and_the_ledger_says_why(
    code_sandbox: Callable[..., Sandbox], emulator: AdminClient
) -> None:
    """Nothing listens, and whoever looks is told which option is missing."""
    sandbox = code_sandbox()
    with pytest.raises(TimeoutException, match="port is not open"):
        sandbox.run_code("1")
    notes = [note for entry in emulator.ledger() for note in entry["notes"]]
    assert any("--interpreter" in note for note in notes)
