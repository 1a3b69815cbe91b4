"""Any program, run here and in a sandbox of the emulator by the command line itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = 'case "$PWD" in /home/user/*) there=1;; *) there=;; esac; '
FAULTS = {
    "exit code": ('exit "${there:-0}"', "outcome"),
    "binary output": (r'[ -z "$there" ] && printf "\377" || printf "\376"', "stdout/lines"),
    "file content": ('echo "side $there" > f.txt', "files/output/f.txt/lines"),
    "file mode": ('echo x > f.txt; [ -z "$there" ] || chmod 600 f.txt', "files/output/f.txt/mode"),
}


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


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_planted_fault_is_found_at_its_place(job: Path, fault: str) -> None:
    """What the sandbox's side does otherwise is a difference with its path."""
    script, path = FAULTS[fault]
    code, verdict, errors = parity(job.parent, "--files", "job", "--", "bash", "-c", HERE + script)
    assert code == 1, (verdict, errors)
    assert path in [item["path"] for item in verdict["details"]["differences"]]


def test_program_that_is_not_there_is_a_usage_error(job: Path) -> None:
    """Three lines and exit code 2, before anything is started."""
    code, _, errors = parity(job.parent, "--files", "job", "--", "no-such-program")
    assert (code, len(errors.splitlines())) == (2, 3)
