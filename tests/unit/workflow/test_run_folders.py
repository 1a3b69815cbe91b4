"""The folders of runs do not pile up, and none is taken from a run that goes on."""

from __future__ import annotations

from pathlib import Path

from harness.workflow.run_folders import KEPT_RUNS, run_folder


def names(runs: Path) -> list[str]:
    return sorted(path.name for path in runs.iterdir())


def test_run_folder_older_ones_of_its_kind_make_room(tmp_path: Path) -> None:
    """The newest stay, beside this one; another kind, and a file, are not touched."""
    for name in ("parity-1", "parity-2", "parity-3", "controls-1"):
        (tmp_path / name / "case").mkdir(parents=True)
    (tmp_path / "parity-note").write_text("mine")
    with run_folder(tmp_path, "parity-4", kept=2) as folder:
        assert folder == tmp_path / "parity-4"
        assert names(tmp_path) == ["controls-1", "parity-2", "parity-3", "parity-4", "parity-note"]


def test_run_folder_of_a_run_that_goes_on_is_kept(tmp_path: Path) -> None:
    """Its lock holds it, however old it is; when it has ended, it is as any other."""
    with run_folder(tmp_path, "parity-1", kept=0), run_folder(tmp_path, "parity-2", kept=0):
        assert names(tmp_path) == ["parity-1", "parity-2"]
    with run_folder(tmp_path, "parity-3", kept=0):
        assert names(tmp_path) == ["parity-3"]


def test_run_folder_of_a_run_that_was_killed_is_an_old_one(tmp_path: Path) -> None:
    """A lock file without a process behind it holds nothing."""
    (tmp_path / "parity-1").mkdir()
    (tmp_path / "parity-1" / ".running").touch()
    with run_folder(tmp_path, "parity-2", kept=0):
        assert names(tmp_path) == ["parity-2"]
    assert KEPT_RUNS > 0
