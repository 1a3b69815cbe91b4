"""Any program, run here and in a sandbox of the emulator by the command line itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

THERE = 'case "$PWD" in /home/user/*) printf "\\376"; chmod 600 f.txt;; *) printf "\\377";; esac'


def parity(root: Path, *words: str) -> tuple[int, dict[str, Any], str]:
    done = subprocess.run(
        [sys.executable, "-m", "harness", "parity", "run", "--json", *words],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


@pytest.fixture
def job(tmp_path: Path) -> Path:
    folder = tmp_path / "job"
    folder.mkdir()
    (folder / "input.csv").write_text("id\n1\n")
    return folder


def test_program_that_does_the_same_on_both_sides_passes(job: Path) -> None:
    """Paths of the run are no difference, and the folder itself is never written to."""
    script = "echo hello; pwd; cp input.csv out.csv; mkdir d"
    code, verdict, errors = parity(job.parent, "--files", "job", "--", "bash", "-c", script)
    assert code == 0, (verdict, errors)
    assert [path.name for path in job.iterdir()] == ["input.csv"]


def test_live_way_finds_what_the_sandbox_does_otherwise(job: Path) -> None:
    """Through the gateway, with a template: bytes that are no text, and permissions.

    Every other fault is a control: `harness parity controls`.
    """
    words = ["--files", "job", "--live-endpoint", "emulator", "--template", "base", "--"]
    code, verdict, errors = parity(job.parent, *words, "bash", "-c", f"echo x > f.txt; {THERE}")
    assert code == 1, (verdict, errors)
    found = [item["path"] for item in verdict["details"]["differences"]]
    assert found == ["files/output/f.txt/mode", "stdout/lines"]
    again = verdict["details"]["differences"][0]["reproduce"]
    assert "--files job" in again
    assert "--live-endpoint emulator" in again


def test_what_of_the_folder_does_not_go_is_told(job: Path) -> None:
    """A program may miss it."""
    (job / "elsewhere").symlink_to("/etc/hostname")
    code, _, errors = parity(job.parent, "--files", "job", "--list", "--", "true")
    assert code == 0
    assert "left out of job: elsewhere (a link with an absolute path)" in errors


def test_program_that_is_not_there_is_a_usage_error(job: Path) -> None:
    """Three lines and exit code 2, before anything is started."""
    code, _, errors = parity(job.parent, "--files", "job", "--", "no-such-program")
    assert (code, len(errors.splitlines())) == (2, 3)
