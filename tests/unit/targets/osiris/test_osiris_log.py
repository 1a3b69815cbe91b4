"""The product's log is read entry by entry, and nothing of it is dropped."""

from __future__ import annotations

from pathlib import Path

from harness.targets.osiris.log import read_log

LOG = """what stands before the first entry
2026-01-02 03:04:05 - root - [20260102_030405_0a1b2c3d] - INFO - Creating E2B sandbox...
2026-01-02 03:04:06 - osiris.runner - [20260102_030405_0a1b2c3d] - ERROR - Failed: no table

LINE 1: SELECT
Traceback (most recent call last):
"""


def test_read_log_entries_keep_their_lines(tmp_path: Path) -> None:
    """A message of several lines is one entry; what is none keeps its text."""
    path = tmp_path / "osiris.log"
    path.write_text(LOG, encoding="utf-8")
    entries = read_log(path)
    assert entries is not None
    assert [entry.line for entry in entries] == [1, 2, 3]
    assert entries[0].raw == "what stands before the first entry"
    assert entries[1].fields["name"] == "root"
    assert entries[1].fields["level"] == "INFO"
    message = str(entries[2].fields["message"])
    assert message.startswith("Failed: no table\n")
    assert message.endswith("Traceback (most recent call last):")


def test_read_log_that_is_not_there_is_none_and_an_empty_one_is_empty(tmp_path: Path) -> None:
    """A missing log and an empty one are two things."""
    assert read_log(tmp_path / "osiris.log") is None
    (tmp_path / "osiris.log").touch()
    assert read_log(tmp_path / "osiris.log") == ()
