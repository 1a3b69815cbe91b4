"""An emulator that runs is asked from a terminal, as the tutorial has it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.emulator.attach import AdminClient
from harness.errors import ExitCode
from harness.model.side import Endpoint

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial" / "first-sandbox.md"
Say = Callable[..., str]


@pytest.fixture
def say(e2b_endpoint: Endpoint, emulator: AdminClient, tmp_path: Path) -> Say:
    """Runs a command with the variables that `serve` prints; returns what it printed."""
    del emulator
    assert e2b_endpoint.admin_url is not None
    assert e2b_endpoint.admin_token is not None
    env = {
        **os.environ,
        **e2b_endpoint.env,
        "HARNESS_ADMIN_URL": e2b_endpoint.admin_url,
        "HARNESS_ADMIN_TOKEN": e2b_endpoint.admin_token,
    }

    def run(*words: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, *words],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    return run


def _program(number: int) -> str:
    blocks = re.findall(r"```python\n(.*?)```", TUTORIAL.read_text(), re.DOTALL)
    return str(blocks[number])


def test_tutorial_works_as_it_is_written(say: Say, tmp_path: Path) -> None:
    """Its programs run, the fault is survived, the clock ends what is due, its files stay."""
    harness = ("-m", "harness", "emulator")
    assert say("-c", _program(0)) == "Hello from a file\nuser\ne2b.local\n\n"
    assert "POST    /v2/sandboxes" in say(*harness, "ledger")
    fault = ("POST /v2/sandboxes", "--status", "503", "--times", "2")
    fault_id = say(*harness, "fault", *fault).strip()
    say("-c", _program(0))
    told = say(*harness, "faults")
    assert re.search(
        rf"{fault_id} .*struck 2 of 2\n    POST .*3 attempts: 503 503 201; waited", told
    )
    sandbox_id = say("-c", _program(1)).strip()
    assert re.search(rf"{sandbox_id} +base +running", say(*harness, "sandboxes"))
    say(*harness, "advance", "301")
    assert re.search(rf"{sandbox_id} +base +killed .*timeout", say(*harness, "sandboxes"))
    say(*harness, "after-image", sandbox_id, "left")
    assert (tmp_path / "left").is_dir()
    rows = say(*harness, "sandboxes", "--json").splitlines()
    assert [json.loads(row)["end_reason"] for row in rows].count("request") == 2
    say(*harness, "faults", "--clear")
    assert say(*harness, "faults") == ""
    say(*harness, "reset")
    assert len(say(*harness, "ledger").splitlines()) == 1


def test_terminal_without_an_emulator_is_told_what_to_do(say: Say) -> None:
    """Three lines, and the right exit code; so for a fault that cannot be."""
    harness = ("-m", "harness", "emulator")
    told = say(*harness, "ledger", "--url", "", code=ExitCode.USAGE)
    assert "HARNESS_ADMIN_URL" in told
    assert "nothing happens" in say(*harness, "fault", "POST /x", code=ExitCode.BROKEN)
    assert "NAME=VALUE" in say(*harness, "fault", "*", "--header", "x", code=ExitCode.USAGE)
