"""Deleting a sandbox's files as an ordinary user."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.emulator.other_user import OtherUser

ORDINARY = 65534
_PROGRAM = """
import sys
from pathlib import Path
from harness.emulator.isolation.folders import delete_tree
home = Path(sys.argv[1])
tree = home / "tree"
(tree / "closed" / "deep").mkdir(parents=True)
(home / "other").mkdir()
(home / "other" / "kept").write_text("kept")
(tree / "out").symlink_to(home / "other")
(tree / "forbidden").symlink_to(sys.argv[2])
(tree / "closed").chmod(0)
delete_tree(tree)
print(tree.exists(), (home / "other" / "kept").read_text())
"""


@pytest.fixture
def forbidden(tmp_path: Path) -> Path:
    """A path that an ordinary user may not even ask for."""
    folder = tmp_path / "forbidden"
    folder.mkdir(mode=0o700)
    (folder / "inside").mkdir()
    if os.geteuid() != 0:
        folder.chmod(0)
    return folder / "inside"


def test_tree_with_links_to_forbidden_places_is_deleted(forbidden: Path, tmp_path: Path) -> None:
    """No symlink of a sandbox is followed, so none of its targets can refuse or be lost."""
    other = OtherUser(ORDINARY) if os.geteuid() == 0 else None
    options = other.options() if other else {}
    python = other.python() if other else sys.executable
    home = Path(options["env"]["HOME"]) if other else tmp_path
    try:
        done = subprocess.run(
            [python, "-c", _PROGRAM, str(home), str(forbidden)],
            capture_output=True,
            text=True,
            check=False,
            **options,
        )
    finally:
        if other:
            other.close()
        forbidden.parent.chmod(0o700)
    assert (done.stdout, done.stderr) == ("False kept\n", "")
