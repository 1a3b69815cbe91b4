"""Child processes: their output, their exit codes, and that none survives."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from guest_lab import eventually

from harness.workflow.processes import run_child


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_run_child_reports_exit_code_and_output() -> None:
    """The child's exit status and both of its streams come back."""
    ended = run_child(
        python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)"), capture=True
    )
    assert ended.returncode == 7
    assert sorted(ended.output.split()) == ["err", "out"]


def test_run_child_kills_what_the_child_left_behind(tmp_path: Path) -> None:
    """A grandchild that outlives its parent is ended with the group."""
    file = tmp_path / "pid"
    code = (
        "import subprocess, pathlib, sys\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"pathlib.Path({str(file)!r}).write_text(str(p.pid))\n"
    )
    assert run_child(python(code)).returncode == 0
    eventually(lambda: has_ended(int(file.read_text())))


def test_run_child_interrupted_lets_the_child_clean_up(tmp_path: Path) -> None:
    """On Ctrl-C the child gets SIGINT and its time, and the caller learns of it."""
    ready, cleaned = tmp_path / "ready", tmp_path / "cleaned"
    code = (
        "import pathlib, time\n"
        "try:\n"
        f"    pathlib.Path({str(ready)!r}).touch()\n"
        "    time.sleep(600)\n"
        "except KeyboardInterrupt:\n"
        f"    pathlib.Path({str(cleaned)!r}).touch()\n"
    )
    interrupt_when(ready)
    ended = run_child(python(code))
    assert ended.interrupted
    assert cleaned.exists()


def test_run_child_that_ignores_an_interruption_is_killed(tmp_path: Path) -> None:
    """A child that does not end in its time is killed."""
    ready = tmp_path / "ready"
    code = (
        "import pathlib, signal, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        f"pathlib.Path({str(ready)!r}).touch()\n"
        "time.sleep(600)\n"
    )
    interrupt_when(ready)
    ended = run_child(python(code), grace_s=0.2)
    assert ended.interrupted
    assert ended.returncode == -signal.SIGKILL


def interrupt_when(ready: Path) -> None:
    """Sends this process SIGINT as soon as the file is there."""

    def watch() -> None:
        eventually(ready.exists)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=watch, daemon=True).start()


def has_ended(pid: int) -> bool:
    """Whether the process is gone, or a zombie that only waits for its parent."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"
