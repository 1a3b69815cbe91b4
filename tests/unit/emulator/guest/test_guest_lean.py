"""The agent's own JSON against the standard library's, and what its start imports."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from harness.emulator.guest import lean

VALUES = [
    {},
    {"ok": True, "result": {"entries": [{"name": "ä\udcff\n", "size": 1 << 40, "mode": None}]}},
    [1, -2.5, "\u2028\U0001f600", False, [], [[{}]]],
    "plain",
    0,
]


@pytest.mark.parametrize("value", VALUES, ids=["empty", "answer", "list", "text", "zero"])
def test_json_of_the_agent_is_json(value: object) -> None:
    """What it writes the standard library reads, and the other way round."""
    assert json.loads(lean.dumps(value)) == value
    assert lean.loads(json.dumps(value, indent=1)) == value
    assert lean.dumps(value) == json.dumps(value, separators=(",", ":")).encode("ascii")


@pytest.mark.parametrize("text", ["", "{", "{} {}", "nothing", b'{"a": }', b"\xff"])
def test_json_of_the_agent_refuses_what_is_none(text: str | bytes) -> None:
    """Anything else is a ValueError, as everywhere."""
    with pytest.raises(ValueError, match=r"."):
        lean.loads(text)


def test_value_that_is_no_json_is_refused() -> None:
    """An object that JSON has no form for is not written as something else."""
    with pytest.raises(TypeError, match="bytes is no JSON"):
        lean.dumps({"data": b"x"})


def test_start_of_the_agent_imports_no_more_than_it_needs() -> None:
    """Each sandbox pays for the agent's imports; these cost more than all the rest."""
    code = "import sys; import guest.agent; print(*sys.modules)"
    folder = Path(lean.__file__).parents[1]
    shown = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import sys; sys.path.insert(0, {str(folder)!r}); {code}",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert "guest.frames" in shown
    dear = {"re", "enum", "json", "socket", "selectors", "ctypes", "threading", "contextlib"}
    assert not (dear | {"collections", "functools"}) & set(shown)


def test_event_wakes_all_who_wait_and_who_come_late() -> None:
    """An event that has happened keeps nobody waiting; one that has not ends at its time."""
    event, woken = lean.Event(), list[bool]()
    assert not event.wait(0.001)
    waiting = [threading.Thread(target=lambda: woken.append(event.wait(60))) for _ in range(3)]
    for thread in waiting:
        thread.start()
    lean.start_thread(event.set)
    for thread in waiting:
        thread.join()
    assert woken == [True] * 3
    assert event.wait()
    assert event.is_set()


def test_suppress_lets_other_errors_through() -> None:
    """Only what was named is swallowed, with all that is more special."""
    with lean.suppress(OSError):
        raise FileNotFoundError
    with pytest.raises(ValueError, match="other"), lean.suppress(OSError, KeyError):
        raise ValueError("other")
