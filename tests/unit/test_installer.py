"""uv runs for the harness, and never longer than it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

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
    code = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    with pytest.raises(subprocess.TimeoutExpired):
        call_uv(
            "run", "--no-project", "--python", sys.executable, "python", "-c", code, timeout_s=3
        )
    assert ends(int(pid_file.read_text()))


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
        deadline = time.monotonic() + 30
        while not (pid_file.exists() and pid_file.read_text().strip()):
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGKILL)
    assert ends(int(pid_file.read_text()))


def ends(pid: int) -> bool:
    """Whether the process goes within seconds."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return True
        if state == "Z":
            return True
    return False
