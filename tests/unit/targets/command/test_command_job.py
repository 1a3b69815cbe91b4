from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.targets.command import job as job_module
from harness.targets.command.job import read_job


def test_what_goes_and_what_is_left_out(tmp_path: Path) -> None:
    """Files, empty folders and links inside go; each other thing is named with its reason."""
    root = tmp_path / "job"
    (root / "empty").mkdir(parents=True)
    (root / "__pycache__").mkdir()
    (root / "__pycache__" / "x.pyc").write_bytes(b"x")
    (root / "a.py").write_text("x")
    (root / "inside").symlink_to("a.py")
    (root / "absolute").symlink_to("/etc/hostname")
    (root / "outside").symlink_to("../elsewhere")
    os.mkfifo(root / "pipe")
    job = read_job(root)
    assert [str(path) for path in job.paths] == ["a.py", "empty", "inside"]
    assert set(job.refused) == {"absolute", "outside", "pipe"}
    archive = tmp_path / "job.tar"
    job.pack(archive)
    with tarfile.open(archive) as tar:
        assert {member.name: member.uid for member in tar} == {"a.py": 0, "empty": 0, "inside": 0}


def test_folder_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes into a sandbox: there is a bound."""
    monkeypatch.setattr(job_module, "MAX_JOB_BYTES", 3)
    (tmp_path / "a").write_bytes(b"1234")
    with pytest.raises(UsageError, match="4 bytes"):
        read_job(tmp_path)
