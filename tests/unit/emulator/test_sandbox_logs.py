"""The lines of sandboxes, kept within bounds and told in two forms."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from harness.clock import ManualClock
from harness.emulator.sandbox_logs import MAX_ALL_ENTRIES, MAX_ENTRIES, Level, SandboxLogs


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (7, "7"),
        (-1, "-1"),
        (60000, "60000"),
        (999999, "999999"),
        (1000000, "1E+06"),
        (1048576, "1.048576E+06"),
        (0.25, "0.25"),
        (0.0001, "0.0001"),
        (0.00001, "1E-05"),
        (True, "true"),
    ],
)
def test_flat_field_is_written_as_go_writes_it(number: float, text: str) -> None:
    """Numbers have Go's exponents, as in the answers of E2B's own logs."""
    logs = SandboxLogs(ManualClock())
    logs.add("i1", Level.INFO, "m", value=number, result={"not": "flat"})
    clock = ManualClock()
    [entry] = logs.between("i1", clock.now() - timedelta(days=1), clock.now() + timedelta(days=1))
    assert entry.flat_fields()["value"] == text
    assert "result" not in entry.flat_fields()
    assert json.loads(entry.line())["result"] == {"not": "flat"}


def test_logs_are_bounded_by_lines_and_by_sandboxes() -> None:
    """The oldest go first; a long text is cut and says so."""
    clock = ManualClock()
    logs, ever = SandboxLogs(clock), (clock.now(), clock.now() + timedelta(days=1))
    for number in range(MAX_ENTRIES + 1):
        logs.add("i0", Level.INFO, str(number))
    assert next(entry.message for entry in logs.between("i0", *ever)) == "1"
    for number in range(MAX_ALL_ENTRIES // MAX_ENTRIES):
        for _ in range(MAX_ENTRIES):
            logs.add(f"i{number + 1}", Level.INFO, "m")
    assert logs.between("i0", *ever) == []
    assert len(logs.between("i1", *ever)) == MAX_ENTRIES
    logs.add("last", Level.INFO, "m", command="x" * 5000)
    assert logs.between("i1", *ever) == []
    [entry] = logs.between("last", *ever)
    assert str(entry.fields["command"]).endswith("x… (904 more characters)")
    logs.clear()
    assert logs.between("i1", *ever) == []
