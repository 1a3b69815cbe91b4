"""A test that leaves a sandbox behind fails, and says where the sandbox was created.

Each promise is held by a pytest of its own on a small suite, as a user would run it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2b]

SUITE = """
import asyncio, subprocess, sys
import pytest
from e2b import AsyncSandbox, Sandbox

def make_one():
    return Sandbox.create(timeout=60)

def test_forgets(e2b_env):
    make_one()

def test_forgets_async(e2b_env):
    async def create():
        await AsyncSandbox.create(timeout=60)
    asyncio.run(create())

def test_program_forgets(e2b_env):
    code = "from e2b import Sandbox; Sandbox.create(); print(1, flush=True); input()"
    pipe = subprocess.PIPE
    program = subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe)
    assert program.stdout.readline()
    program.kill()
    program.communicate()

def test_pauses(e2b_env):
    make_one().pause()

def test_forgets_a_fork(e2b_env):
    with make_one() as original:
        original.fork()

def test_is_tidy(e2b_env):
    with make_one():
        pass

def test_comes_after(e2b_env):
    assert e2b_env_sandboxes(e2b_env) == []

@pytest.mark.e2b_leaves_sandboxes
def test_may_forget(e2b_env):
    make_one()

def test_creates_nothing(e2b_env):
    with pytest.raises(Exception, match="404|not found"):
        Sandbox.create("no-such-template")

def e2b_env_sandboxes(e2b_env):
    return Sandbox.list().next_items()
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_suite.py").write_text(SUITE)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rA", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


@pytest.mark.parametrize("far_end", ["emulator", "gateway"])
def test_leftover_fails_the_test_with_its_stack(tmp_path: Path, far_end: str) -> None:
    """Five leave something, each is named with its place; four do not, or may."""
    live = ["--e2b-live", "--live-endpoint=emulator"] if far_end == "gateway" else []
    said = run(tmp_path, *live)
    assert said.returncode == 1, said.stdout + said.stderr
    assert "9 passed, 5 errors" in said.stdout
    for name in ("forgets", "forgets_async", "program_forgets", "pauses", "forgets_a_fork"):
        assert f"ERROR test_suite.py::test_{name} " in said.stdout
    for line in (
        f'File "{tmp_path}/test_suite.py", line 7, in make_one',
        "return Sandbox.create(timeout=60)",
        f'File "{tmp_path}/test_suite.py", line 10, in test_forgets',
        f'File "{tmp_path}/test_suite.py", line 14, in create',
        "Sandbox.create(); print(1, flush",
        "original.fork()",
        "next: end it, or mark the test with @pytest.mark.e2b_leaves_sandboxes",
    ):
        assert line in said.stdout


def test_leftovers_can_be_allowed_for_a_whole_suite(tmp_path: Path) -> None:
    """One line of the ini file, for suites that are not tidy yet."""
    (tmp_path / "pytest.ini").write_text("[pytest]\ne2b_allow_leftovers = true\n")
    said = run(tmp_path, "-k", "test_forgets")
    assert said.returncode == 0, said.stdout + said.stderr
