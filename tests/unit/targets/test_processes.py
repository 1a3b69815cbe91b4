"""A process group ends when it is told to, at its deadline, and with the harness."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.errors import BrokenError
from harness.targets.processes import ProcessGroup, describe_exit

SHELL = "/bin/sh"


def start(script: str, cwd: Path, **env: str) -> ProcessGroup:
    return ProcessGroup([SHELL, "-c", script], cwd=cwd, env={"PATH": "/usr/bin:/bin", **env})


def gone(pid: int, within_s: float = 60.0) -> bool:
    """Whether a process that is not our child ends within the time."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        ended = bool(selector.select(within_s))
    os.close(descriptor)
    return ended


def test_process_group_streams_and_exit_code_are_kept(tmp_path: Path) -> None:
    """Both streams and the exit code are the program's own; so is the whole environment."""
    with start("echo out; echo err >&2; echo $WORD; pwd; exit 7", tmp_path, WORD="w") as process:
        assert process.wait(60)
        assert process.end() == 7
    assert process.stdout.splitlines() == ["out", "w", str(tmp_path)]
    assert process.stderr == "err\n"


def test_process_group_environment_is_built_from_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable of the caller is not seen by the program."""
    monkeypatch.setenv("CALLERS_OWN", "leak")
    with start("echo [$CALLERS_OWN]", tmp_path) as process:
        assert process.wait(60)
        assert process.stdout == "[]\n"


def test_process_group_end_takes_the_grandchildren_along(tmp_path: Path) -> None:
    """What the program started and left behind is ended with it."""
    with start("sleep 1000 & echo $!; exit 0", tmp_path) as process:
        assert process.wait(60)
        grandchild = int(process.stdout)
        assert not gone(grandchild, within_s=0)
    assert gone(grandchild)


def test_process_group_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """After the grace there is SIGKILL."""
    with start("trap '' TERM; echo ready; while :; do sleep 1000; done", tmp_path) as process:
        while "ready" not in process.stdout:
            assert not process.wait(0.01)
        assert process.end(grace_s=0.2) == -signal.SIGKILL


def test_process_group_that_heeds_sigterm_ends_by_itself(tmp_path: Path) -> None:
    """The program may tidy up before it ends."""
    script = "trap 'echo tidy; exit 5' TERM; echo ready; while :; do sleep 0.01; done"
    with start(script, tmp_path) as process:
        while "ready" not in process.stdout:
            assert not process.wait(0.01)
        assert process.end(grace_s=60) == 5
    assert "tidy" in process.stdout


def test_process_group_dies_with_the_harness(tmp_path: Path) -> None:
    """A harness that is killed without a chance to tidy up leaves nothing behind."""
    code = (
        "import sys, os, signal\n"
        "from pathlib import Path\n"
        "from harness.targets.processes import ProcessGroup\n"
        f"p = ProcessGroup(['/bin/sleep', '1000'], cwd=Path({str(tmp_path)!r}), env={{}})\n"
        "print(p.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    harness = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert harness.stdin is not None
    assert harness.stdout is not None
    with harness.stdin, harness.stdout:
        child = int(harness.stdout.readline())
        assert not gone(child, within_s=0)
        harness.kill()
        harness.wait()
    assert gone(child)


def test_process_group_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    """The kernel's link is to the harness, not to one of its threads."""
    started: list[ProcessGroup] = []
    thread = threading.Thread(target=lambda: started.append(start("sleep 1000", tmp_path)))
    thread.start()
    thread.join()
    with started[0] as process:
        assert not process.wait(0.3)


def test_process_group_unknown_working_directory_is_broken(tmp_path: Path) -> None:
    """A program that cannot be started is an error of three lines."""
    with pytest.raises(BrokenError) as caught:
        ProcessGroup([SHELL], cwd=tmp_path / "missing", env={})
    assert len(caught.value.lines()) == 3


@pytest.mark.parametrize(
    ("code", "words"),
    [(3, "exit code 3"), (-signal.SIGSEGV, "signal SIGSEGV"), (-250, "signal 250")],
)
def test_describe_exit_says_code_or_signal(code: int, words: str) -> None:
    """A signal has its name."""
    assert describe_exit(code) == words


def test_launch_with_another_parent_does_not_start(tmp_path: Path) -> None:
    """A parent that died before the request was made is noticed."""
    launch = Path(sys.modules[ProcessGroup.__module__].__file__ or "").with_name("launch.py")
    marker = tmp_path / "ran"
    command: Sequence[str] = [sys.executable, str(launch), "1", "/bin/touch", str(marker)]
    assert subprocess.run(command, check=False).returncode == 125
    assert not marker.exists()
