"""What is asked of a sandbox, and in which order."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.errors import BrokenError
from harness.model.run import ExecutionContext
from harness.sdk.endpoint import ApiEndpoint
from harness.settings import Secret
from harness.targets.command.places import SandboxPlace
from harness.targets.command.program import CommandProgram


class ScriptedSandbox:
    """Notes what it is asked for; a command that holds `fails` fails."""

    sandbox_id = "i123"

    def __init__(self, fails: str = "nothing") -> None:
        self.fails = fails
        self.asked: list[str] = []

    def create(self) -> str:
        self.asked.append("create")
        return self.sandbox_id

    def upload(self, source: Path, path: str) -> None:
        del source
        self.asked.append(f"upload {path}")

    def run(self, command: str, *, timeout_s: float, **how: object) -> None:
        del timeout_s
        self.asked.append(f"run {how.get('user')}: {command}")
        if self.fails in command:
            raise BrokenError("it failed", expected=str(how.get("expected")), next_step="look")

    def download(self, path: str, target: Path, *, limit_bytes: int) -> None:
        del target, limit_bytes
        self.asked.append(f"download {path}")

    def kill(self) -> None:
        self.asked.append("kill")


@pytest.fixture
def place(tmp_path: Path) -> Callable[..., tuple[SandboxPlace, Callable[[], None]]]:
    """A place with a scripted sandbox in it, and what runs it."""
    program = CommandProgram(
        words=("true",), folder=tmp_path, path=os.pathsep.join(os.get_exec_path())
    )
    endpoint = ApiEndpoint(api_url="http://127.0.0.1:1", api_key=Secret("E2B_API_KEY", "none"))

    def made(sandbox: ScriptedSandbox, *install: str) -> tuple[SandboxPlace, Callable[[], None]]:
        there = SandboxPlace(endpoint, program, install=install)
        there._sandbox = sandbox  # type: ignore[assignment]  # of the same shape
        context = ExecutionContext(
            session_id="s", base_path=tmp_path, started_at=datetime(2026, 11, 23, tzinfo=UTC)
        )
        return there, lambda: there.run(program, context)

    return made


def test_packages_are_installed_before_the_program_runs(
    place: Callable[..., tuple[SandboxPlace, Callable[[], None]]],
) -> None:
    """Into the system, whatever stands in their names; and the sandbox is ended."""
    sandbox = ScriptedSandbox()
    _, run = place(sandbox, "pandas>=2", "rich")
    run()
    commands = [word for word in sandbox.asked if word.startswith("run")]
    assert commands[0].startswith("run root: python3 -m pip install")
    assert commands[0].endswith("'pandas>=2' rich")
    assert commands[1].startswith("run None: exec python3 -I -S")
    assert sandbox.asked[-1] == "kill"


def test_no_package_is_no_command(
    place: Callable[..., tuple[SandboxPlace, Callable[[], None]]],
) -> None:
    """Where nothing is asked for, or the template has it."""
    sandbox = ScriptedSandbox()
    _, run = place(sandbox)
    run()
    assert not any("pip" in word for word in sandbox.asked)


def test_package_that_is_not_to_be_had_ends_the_sandbox(
    place: Callable[..., tuple[SandboxPlace, Callable[[], None]]],
) -> None:
    """The message names the packages."""
    sandbox = ScriptedSandbox(fails="pip")
    _, run = place(sandbox, "no-such-package")
    with pytest.raises(BrokenError) as failed:
        run()
    assert "no-such-package" in failed.value.expected
    assert sandbox.asked[-1] == "kill"
