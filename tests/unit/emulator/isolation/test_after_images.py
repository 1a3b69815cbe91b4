"""Reading a sandbox's files from the host: no path and no symlink leads out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from guest_lab import eventually, open_files

from harness.emulator.isolation import AfterImage


@pytest.fixture
def image(tmp_path: Path) -> AfterImage:
    """A tree with traps, beside a file of the host."""
    (tmp_path / "secret").write_text("host")
    home = tmp_path / "root" / "home" / "user"
    (home / "d" / "e").mkdir(parents=True)
    (home / "d" / "e" / "f").write_bytes(b"inside")
    (tmp_path / "root" / "etc").mkdir()
    (tmp_path / "root" / "etc" / "passwd").write_bytes(b"the sandbox's")
    for name, target in {
        "absolute": "/etc/passwd",
        "climb": "../../../../../secret",
        "host": str(tmp_path / "secret"),
        "folder": "d/e",
        "loop": "loop",
        "out": "../../..",
    }.items():
        (home / name).symlink_to(target)
    os.mkfifo(home / "pipe")
    return AfterImage(tmp_path / "root")


def read(image: AfterImage, path: str) -> bytes:
    """All of a file."""
    with image.open(path) as file:
        return file.read()


def test_files_are_found_by_the_sandboxes_own_paths(image: AfterImage) -> None:
    """Absolute, relative to the home, with dots, and through symlinks inside."""
    for path in ("/home/user/d/e/f", "d/e/f", "d/./e/../e/f", "folder/f", "/../home/user/d/e/f"):
        assert read(image, path) == b"inside"
    assert read(image, "absolute") == b"the sandbox's"
    assert read(image, "out/etc/passwd") == b"the sandbox's"


@pytest.mark.parametrize(
    "path", ["climb", "host", "loop", "nothing", "pipe", "d/e/f/x", "../../../../secret"]
)
def test_ways_out_are_not_found(image: AfterImage, path: str) -> None:
    """What is not inside does not exist; a FIFO is not waited for."""
    with pytest.raises(FileNotFoundError):
        image.open(path)


def test_directory_is_no_file(image: AfterImage) -> None:
    """Said as what it is."""
    with pytest.raises(IsADirectoryError):
        image.open("folder")


def test_walk_lists_links_and_does_not_follow_them(image: AfterImage) -> None:
    """Every entry once, sorted, with type, size and target."""
    entries = {entry.path: entry for entry in image.walk()}
    assert list(entries) == [
        *("/home/user/absolute", "/home/user/climb", "/home/user/d", "/home/user/d/e"),
        *("/home/user/d/e/f", "/home/user/folder", "/home/user/host", "/home/user/loop"),
        *("/home/user/out", "/home/user/pipe"),
    ]
    assert entries["/home/user/d/e/f"].size_bytes == 6
    assert entries["/home/user/folder"].target == "d/e"
    assert entries["/home/user/pipe"].type == "other"
    assert list(image.walk("nothing")) == []
    assert [entry.path for entry in image.walk("folder")] == ["/home/user/d/e/f"]


def test_descriptors_are_given_back(image: AfterImage) -> None:
    """Neither a walk that is left early nor a refusal keeps one open."""
    before = open_files()
    next(iter(image.walk()))
    for path in ("loop", "climb", "folder"):
        with pytest.raises(OSError):  # noqa: PT011 - which one is another test's question
            image.open(path)
    # A thread that fills another test's pool may hold a file for a moment.
    eventually(lambda: not open_files() - before)
