"""A value that git ever held is found, also where no file holds it any more."""

import subprocess
from pathlib import Path

import pytest

from harness.errors import NotRunError
from harness.redaction.git_objects import (
    ACCEPTED_HISTORY,
    accept_history,
    scan_history,
    scan_staged,
)
from harness.redaction.scan import Scanner
from harness.redaction.self_test import DETECTABLE
from harness.secret_values import Secret

TOKEN = "tok-" + "7f3a9c" * 4
SCANNER = Scanner([Secret("TOKEN", TOKEN)])


def git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "a file.txt").write_text("clean\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def test_scan_history_removed_value_is_found_under_its_path(repository: Path) -> None:
    """Committed and removed is not gone; the finding names the path and the line."""
    assert scan_history(repository, SCANNER).findings == []
    (repository / "a file.txt").write_text(f"clean\n{TOKEN}\n")
    git(repository, "commit", "-qam", "leak")
    (repository / "a file.txt").write_text("clean\n")
    git(repository, "commit", "-qam", "removed")
    (finding,) = scan_history(repository, SCANNER).findings
    assert finding.path.startswith("a file.txt in blob ")
    assert (finding.kind, finding.line) == ("TOKEN", 2)


def test_scan_history_commit_message_is_searched(repository: Path) -> None:
    """A secret in a message is as public as one in a file."""
    git(repository, "commit", "-q", "--allow-empty", "-m", f"use {TOKEN}")
    assert [f.kind for f in scan_history(repository, SCANNER).findings] == ["TOKEN"]


def test_scan_staged_finds_what_the_next_commit_would_add(repository: Path) -> None:
    """What is staged counts, whatever the working tree holds now; what is not staged does not."""
    (repository / "new.txt").write_text(TOKEN)
    assert scan_staged(repository, SCANNER).findings == []
    git(repository, "add", "new.txt")
    (repository / "new.txt").write_text("clean again")
    assert [f.kind for f in scan_staged(repository, SCANNER).findings] == ["TOKEN"]


def test_scan_history_outside_of_a_repository_is_not_run(tmp_path: Path) -> None:
    """No repository is no clean repository."""
    with pytest.raises(NotRunError):
        scan_history(tmp_path, SCANNER)


def test_accept_history_accepts_what_detectors_found_and_no_known_value(repository: Path) -> None:
    """Looked at once, a fake in an old commit is silent; a new one and a known value are not."""
    fake, other = DETECTABLE["github-token"], DETECTABLE["e2b-key"]
    (repository / "old.txt").write_text(f"{fake}\n")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "a fake")
    assert [f.kind for f in scan_history(repository, Scanner(())).findings] == ["github-token"]
    assert accept_history(repository) == 1
    assert fake not in (repository / ACCEPTED_HISTORY).read_text()
    assert scan_history(repository, Scanner(())).findings == []
    known = Scanner([Secret("github-token", fake)])
    assert [f.kind for f in scan_history(repository, known).findings] == ["github-token"]
    (repository / "new.txt").write_text(f"{other}\n")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "another")
    assert [f.kind for f in scan_history(repository, Scanner(())).findings] == ["e2b-key"]
