from __future__ import annotations

from pathlib import Path

import pytest
from guest_lab import eventually

from harness.redaction.redact import Redactor
from harness.secret_values import Secret
from harness.workflow.log_mirror import LogMirror

KEY = "e2b_" + "5f" * 20


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


def test_mirror_holds_the_logs_at_the_end_without_secrets(source: Path, tmp_path: Path) -> None:
    """Every line is there when the run is over, also the last one without an end."""
    destination = tmp_path / "logs" / "case"
    with LogMirror(source, destination, Redactor([Secret("E2B_API_KEY", KEY)])):
        (source / "events.jsonl").write_text(f'{{"a": 1}}\n{{"key": "{KEY}"}}\nlast')
        (source / "other.bin").write_text("x")
    text = (destination / "events.jsonl").read_text()
    assert text.startswith('{"a": 1}\n')
    assert text.endswith("\nlast")
    assert KEY not in text
    assert [path.name for path in destination.iterdir()] == ["events.jsonl"]


def test_mirror_is_live(source: Path, tmp_path: Path) -> None:
    """Whole lines appear while the run goes on; half a line waits for its rest."""
    destination = tmp_path / "case"
    with LogMirror(source, destination, Redactor(), interval_s=0.01):
        (source / "events.jsonl").write_text("one\ntw")
        copy = destination / "events.jsonl"
        eventually(lambda: copy.is_file() and copy.read_text() == "one\n")
        with (source / "events.jsonl").open("a") as log:
            log.write("o\n")
    assert (destination / "events.jsonl").read_text() == "one\ntwo\n"


def test_mirror_of_an_earlier_run_is_gone(source: Path, tmp_path: Path) -> None:
    """What lies in the folder is of this run only."""
    destination = tmp_path / "case"
    destination.mkdir()
    (destination / "metrics.jsonl").write_text("old")
    with LogMirror(source, destination, Redactor()):
        pass
    assert list(destination.iterdir()) == []


def test_mirror_that_cannot_be_written_is_an_error(source: Path, tmp_path: Path) -> None:
    """A copy that fails is not silent."""
    occupied = tmp_path / "file"
    occupied.write_text("")
    with (
        pytest.raises(OSError, match="Not a directory"),
        LogMirror(source, occupied / "x", Redactor()),
    ):
        pass
