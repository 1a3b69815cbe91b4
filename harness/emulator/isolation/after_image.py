"""The files of a sandbox, read from the host without leaving its folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

__all__ = ["AfterImage", "ImageEntry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageEntry:
    """One file of a sandbox.

    Attributes:
        path: absolute, as the sandbox names it.
        type: "file", "dir", "symlink" or "other".
        size_bytes: of a file; 0 for the rest.
        mode: permission bits.
        target: where a symlink points, as written.
    """

    path: str
    type: str
    size_bytes: int
    mode: int
    target: str | None = None


class AfterImage:
    """Reads a sandbox's files; a symlink never leads out of its folder.

    Paths are the sandbox's own ("/home/user/x"); relative ones start at /home/user.
    Only what the sandbox could write to is here: nothing below /usr, /proc or /dev.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def walk(self, path: str = "/home/user") -> Iterator[ImageEntry]:
        """Everything below `path`, sorted by path; symlinks are listed, not followed."""
        raise NotImplementedError

    def open(self, path: str) -> BinaryIO:
        """A file's bytes, opened for reading.

        Raises:
            FileNotFoundError: nothing is there, or a symlink leads out of the image.
            IsADirectoryError: it is a directory.
        """
        raise NotImplementedError
