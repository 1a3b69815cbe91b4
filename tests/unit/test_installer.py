"""uv runs for the harness, and never longer than it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from guest_lab import eventually

from harness.installer import call_uv


def test_call_uv_gives_what_it_said() -> None:
    """Output and exit code come back, also those of a failure."""
    assert call_uv("--version", timeout_s=60).stdout.startswith("uv ")
    failed = call_uv("no-such-command", timeout_s=60)
    assert failed.returncode == 2
    assert "no-such-command" in failed.stderr


def test_call_uv_past_its_time_ends_it_with_its_children(tmp_path: Path) -> None:
    """A build that does not end is ended, and so is what it started."""
    pid_file = tmp_path / "pid"
    code = (
        "import os, time, pathlib\n"
        f"part = pathlib.Path({str(pid_file)!r} + '.part')\n"
        "part.write_text(str(os.getpid()))\n"
        f"part.rename({str(pid_file)!r})\n"
        "time.sleep(600)"
    )
    words = ("run", "--no-project", "--python", sys.executable, "python", "-c", code)
    for timeout_s in (1, 4, 16, 64):  # as long as the child takes to come up
        with pytest.raises(subprocess.TimeoutExpired):
            call_uv(*words, timeout_s=timeout_s)
        if pid_file.exists():
            break
    eventually(lambda: has_ended(int(pid_file.read_text())))


def test_call_uv_ends_when_its_caller_is_killed(tmp_path: Path) -> None:
    """Not even a killed caller leaves uv running."""
    pid_file = tmp_path / "pid"
    fake = tmp_path / "uv"
    fake.write_text(f"#!/bin/sh\necho $$ > {pid_file}\nexec sleep 600\n")
    fake.chmod(0o755)
    caller = (
        "import harness.installer as i\n"
        f"i.find_uv_bin = lambda: {str(fake)!r}\n"
        "i.call_uv('x', timeout_s=600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", caller]) as process:
        eventually(lambda: pid_file.exists() and pid_file.read_text().endswith("\n"))
        process.send_signal(signal.SIGKILL)
    eventually(lambda: has_ended(int(pid_file.read_text())))


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or a zombie that only waits for its parent."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return True
    return state == "Z"
