"""The folder of an emulator."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.emulator.state_folder import remove_stale, state_folder
from harness.errors import BrokenError


def test_folder_is_there_for_the_block_and_gone_after(tmp_path: Path) -> None:
    """Whatever modes were left in it."""
    with state_folder(tmp_path / "new") as folder:
        locked = folder / "a" / "b"
        locked.mkdir(parents=True)
        (locked / "f").write_text("x")
        locked.chmod(0)
    assert list((tmp_path / "new").iterdir()) == []


def test_stale_folder_is_removed_and_a_living_one_is_not(tmp_path: Path) -> None:
    """A lock tells them apart."""
    stale = tmp_path / "emulator-dead"
    stale.mkdir()
    (stale / "lock").touch()
    strange = tmp_path / "somebody-elses"
    strange.mkdir()
    with state_folder(tmp_path) as living:
        remove_stale(tmp_path)
        assert living.exists()
        assert not stale.exists()
        assert strange.exists()


def test_folder_that_cannot_be_made_is_told_with_its_place(tmp_path: Path) -> None:
    """A file in the way is named."""
    (tmp_path / "file").touch()
    with (
        pytest.raises(BrokenError, match="cannot be made") as failure,
        state_folder(tmp_path / "file"),
    ):
        pass
    assert str(tmp_path / "file") in failure.value.expected
