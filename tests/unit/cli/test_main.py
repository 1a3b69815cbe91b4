"""The command line's own promises: three lines, the right exit code, quick help."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.cli import NOUNS

HARNESS = (sys.executable, "-m", "harness")


def harness(
    *words: str, cwd: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*HARNESS, *words],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], **(env or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_help_lists_the_nouns(tmp_path: Path) -> None:
    """A newcomer sees what there is."""
    result = harness("--help", cwd=tmp_path)
    assert result.returncode == 0
    for noun, question in NOUNS.items():
        assert re.search(rf"^  {noun} +{re.escape(question)}$", result.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    "words", [("no-such-noun",), ("smoke", "no-such-verb"), ("report", "build", "--no-such")]
)
def test_unknown_words_are_a_usage_error(tmp_path: Path, words: tuple[str, ...]) -> None:
    """A typo ends with exit code 2 and three lines."""
    result = harness(*words, cwd=tmp_path)
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 3
    assert "expected: " in result.stderr
    assert "next: harness" in result.stderr


def test_bad_setting_is_a_usage_error_with_three_lines(tmp_path: Path) -> None:
    """A setting that does not fit is refused before anything is started."""
    result = harness("smoke", "run", cwd=tmp_path, env={"E2B_TIMEOUT": "soon"})
    assert result.returncode == 2
    assert "E2B_TIMEOUT='soon'" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 3
    assert list(tmp_path.iterdir()) == []


def test_live_without_a_key_is_not_run(tmp_path: Path) -> None:
    """Asked for live without a key: exit code 3, in the words that users know."""
    result = harness("smoke", "run", "--only", "live", cwd=tmp_path)
    assert result.returncode == 3
    assert "E2B_API_KEY not set" in result.stdout
    assert "not_run" in result.stdout


def test_live_without_a_key_but_required_is_failed(tmp_path: Path) -> None:
    """Where live tests are required, a missing key is a failure."""
    result = harness("smoke", "run", "--only", "live", "--e2b-require", cwd=tmp_path)
    assert result.returncode == 1
    result = harness("smoke", "run", "--only", "live", cwd=tmp_path, env={"E2B_REQUIRED": "1"})
    assert result.returncode == 1


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_ends_with_130_and_three_lines(tmp_path: Path, signum: signal.Signals) -> None:
    """Ctrl-C and SIGTERM, even several, end with exit code 130 and no traceback."""
    with subprocess.Popen(
        [*HARNESS, "suite", "steps", "--session", "x", "echo on", "sleep 600"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        while "sleep 600" not in process.stdout.readline():
            pass
        for _ in range(3):
            process.send_signal(signum)
            time.sleep(0.02)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, (out, err)
    assert "Traceback" not in err


def test_an_interruption_that_python_drops_is_raised_again(tmp_path: Path) -> None:
    """A signal that arrives in a hook after `fork`, where exceptions are dropped, still ends it."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal\n"
        "waiting = [signal.SIGINT] if os.environ.pop('PLANTED', '') else []\n"
        "def planted():\n"
        "    if waiting:\n"
        "        signal.raise_signal(waiting.pop())\n"
        "os.register_at_fork(after_in_parent=planted)\n"
    )
    result = harness(
        *("suite", "steps", "--session", "x", "sleep 40"),
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PLANTED": "1"},
    )
    assert result.returncode == 130, (result.stdout, result.stderr)
    assert "interrupted" in result.stderr
    assert "Exception ignored" not in result.stderr
