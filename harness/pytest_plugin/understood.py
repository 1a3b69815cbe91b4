"""Fails a test that asked the emulator for what it does not know."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.model.side import Endpoint

__all__ = ["e2b_understood"]


@pytest.fixture
def e2b_understood(e2b_endpoint: Endpoint) -> Iterator[None]:
    """Fails the test after its end, where a request held a route or field that is not known.

    The live service does not say what it did not understand; there this holds of itself.
    """
    # Imported when it is used: every pytest run of the user loads this module.
    from harness.emulator.attach import admin  # noqa: PLC0415

    yield
    if e2b_endpoint.name != "emulator":
        return
    noted = [entry for entry in admin(e2b_endpoint).ledger() if entry["notes"]]
    if noted:
        lines = [
            f"  {entry['method']} {entry['path']}: {'; '.join(entry['notes'])}" for entry in noted
        ]
        pytest.fail(
            "the emulator did not understand everything that was asked:\n"
            + "\n".join(lines)
            + "\nexpected: routes and fields that docs/reference/emulator-coverage.md lists"
            "\nnext: look at these requests, or leave out the fixture e2b_understood",
            pytrace=False,
        )
