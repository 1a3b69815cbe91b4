"""E2B's own command line, every command that asks the service for something.

It is installed by npm, once, where the clients of `versions` are; without npm, or where npm
cannot have it, nothing is shown.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.emulator.attach import Emulator
from harness.settings import Settings
from harness.workflow.npm_packages import install_npm_packages

Say = Callable[..., str]
CLI = "@e2b/cli@2.19.0"
NPM_TIMEOUT_S = 150.0  # a test may take twice as long
DOCKERFILE = """FROM ubuntu:22.04
COPY hello.txt /home/user/hello.txt
RUN echo built > /tmp/built
WORKDIR /home/user
"""


@pytest.fixture(scope="module")
def programs(harness_settings: Settings) -> Path:
    """The folder with E2B's command line in it."""
    home = harness_settings.testing_env / "clients" / CLI.strip("@").replace("/", "-")
    why_not = install_npm_packages(home, [CLI], timeout_s=NPM_TIMEOUT_S)
    if why_not is not None:
        pytest.skip(f"NOT_RUN: {why_not}")
    return home / "node_modules" / ".bin"


@pytest.fixture(scope="module")
def emulator(programs: Path) -> Iterator[Emulator]:
    """One at which the command line can sign in."""
    del programs  # without it there is nothing to serve
    with Emulator("--sign-in") as running:
        yield running


@pytest.fixture
def environment(emulator: Emulator, programs: Path, tmp_path: Path) -> dict[str, str]:
    """Nothing of this machine's E2B, and a home of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("E2B")}
    own = {"HOME": str(tmp_path), "NO_COLOR": "1", "PATH": f"{programs}:{os.environ['PATH']}"}
    return {**kept, **emulator.env, **own}


@pytest.fixture
def e2b(
    environment: dict[str, str], programs: Path, tmp_path: Path, emulator: Emulator
) -> Iterator[Say]:
    """Runs `e2b WORDS…`; returns what it printed."""

    def run(*words: str, given: str = "", code: int = 0, key: bool = True) -> str:
        env = {name: value for name, value in environment.items() if key or name != "E2B_API_KEY"}
        done = subprocess.run(
            [programs / "e2b", *words],
            env=env,
            cwd=tmp_path,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    yield run
    emulator.reset()


def _only(e2b: Say) -> str:
    [row] = json.loads(e2b("sandbox", "list", "-f", "json"))
    return str(row["sandboxId"])


def test_sandbox_is_made_looked_at_used_and_ended(e2b: Say) -> None:
    """Create, info, exec, pause, resume, snapshot, kill."""
    e2b("sandbox", "create", "-d", "base")
    sandbox_id = _only(e2b)
    assert f"Sandbox ID: {sandbox_id}" in e2b("sandbox", "info", sandbox_id)
    assert e2b("sandbox", "exec", sandbox_id, "--", "echo", "hi") == "hi\n"
    assert e2b("sandbox", "exec", sandbox_id, "cat", given="through") == "through"
    e2b("sandbox", "exec", sandbox_id, "--", "sh", "-c", "exit 3", code=3)
    e2b("sandbox", "pause", sandbox_id)
    assert sandbox_id in e2b("sandbox", "list", "-s", "paused")
    e2b("sandbox", "resume", sandbox_id)
    made = e2b("sandbox", "snapshot", "create", sandbox_id)
    snapshot = re.findall(r"snapshot (\S+) from", made)[0]
    assert snapshot in e2b("sandbox", "snapshot", "list")
    e2b("sandbox", "snapshot", "delete", snapshot)
    assert snapshot not in e2b("sandbox", "snapshot", "list")
    e2b("sandbox", "kill", sandbox_id)
    assert sandbox_id not in e2b("sandbox", "list")


def test_logs_and_metrics_are_shown(e2b: Say) -> None:
    """Lines by level and by logger, in both formats; figures of the sandbox."""
    e2b("sandbox", "create", "-d", "base")
    sandbox_id = _only(e2b)
    e2b("sandbox", "exec", sandbox_id, "--", "echo", "hi")
    shown = e2b("sandbox", "logs", sandbox_id)
    assert re.search(r"INFO.*Sandbox created", shown)
    assert re.search(r"INFO.*process_start", shown)
    assert "Started creating sandbox" not in shown
    whole = e2b("sandbox", "logs", "--level", "DEBUG", "--format", "json", sandbox_id)
    rows: list[dict[str, Any]] = [json.loads(row) for row in whole.splitlines() if row.strip()]
    assert rows[0]["message"] == "Started creating sandbox"
    by_logger = e2b("sandbox", "logs", "--loggers", "orchestration", sandbox_id)
    assert "process_start" not in by_logger
    assert re.search(r"CPU: .*Memory: .*Disk: ", e2b("sandbox", "metrics", sandbox_id))
    e2b("sandbox", "kill", "--all")


def test_template_is_built_published_and_deleted(e2b: Say, tmp_path: Path) -> None:
    """From a Dockerfile, whose steps really run; v1 builds end with their warning."""
    (tmp_path / "e2b.Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "hello.txt").write_text("hello\n")
    e2b("template", "create", "mine", "--cpu-count", "2", "--memory-mb", "512")
    e2b("sandbox", "create", "-d", "mine")
    sandbox_id = _only(e2b)
    told = e2b("sandbox", "exec", sandbox_id, "--", "cat", "/tmp/built", "hello.txt")  # noqa: S108 - in the sandbox
    assert told == "built\nhello\n"
    e2b("template", "publish", "-y", "mine")
    assert re.search(r"Public .*mine", e2b("template", "list"))
    e2b("template", "unpublish", "-y", "mine")
    assert re.search(r"Private .*mine", e2b("template", "list"))
    e2b("sandbox", "kill", "--all")
    e2b("template", "delete", "-y", "mine")
    assert "mine" not in e2b("template", "list")
    e2b("template", "build", code=1)


def test_login_by_browser_gives_a_key_until_logout(
    e2b: Say, environment: dict[str, str], programs: Path, emulator: Emulator, tmp_path: Path
) -> None:
    """The address that it prints leads back to it; from then on no variable holds a key."""
    env = {name: value for name, value in environment.items() if name != "E2B_API_KEY"}
    # No browser of this machine is to be opened; the CLI then prints the address.
    env["PATH"] = f"{tmp_path}:{programs}:{_node_folder()}"
    with subprocess.Popen(
        [programs / "e2b", "auth", "login"],
        env=env,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    ) as login:
        assert login.stdout is not None
        address = next(line.strip() for line in login.stdout if "/docs/api/cli" in line)
        assert address.startswith(emulator.env["E2B_DOCS_BASE"])
        assert "Signed in" in httpx.get(address, follow_redirects=True).text
        assert "Logged in as" in login.stdout.read()
        assert login.wait(60) == 0
    assert "You are logged in" in e2b("auth", "info", key=False)
    assert "base" in e2b("template", "list", key=False)
    e2b("auth", "logout", key=False)
    assert "Not logged in" in e2b("auth", "info", key=False)


def _node_folder() -> str:
    return str(Path(shutil.which("node") or "/usr/bin/node").parent)


def test_terminal_is_opened_and_closed(e2b: Say, environment: dict[str, str]) -> None:
    """`create` opens one, types into it, and lets the sandbox go when it is left."""
    del e2b
    command = "e2b sandbox create base"
    done = subprocess.run(
        ["script", "-qec", command, "/dev/null"],
        env=environment,
        input="echo in-$((40 + 2))\nexit\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "in-42" in done.stdout, done.stdout
