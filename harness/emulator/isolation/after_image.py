"""The files of a sandbox, read from the host without leaving its folder."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

__all__ = ["AfterImage", "ImageEntry"]

_MAX_LINKS = 40
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


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
    Every step is taken from an open directory, so that a sandbox that still runs cannot
    swap a directory for a symlink in between.

    Args:
        root: the host's folder that the sandbox knows as /.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def walk(self, path: str = "/home/user") -> Iterator[ImageEntry]:
        """Everything below `path`, depth first, each level sorted by name.

        Symlinks are listed, not followed. A path that is not there yields nothing.
        """
        try:
            fd, shown = self._resolve(path)
        except FileNotFoundError:
            return
        try:
            if stat.S_ISDIR(os.fstat(fd).st_mode):
                yield from _below(fd, shown)
        finally:
            os.close(fd)

    def open(self, path: str) -> BinaryIO:
        """A regular file's bytes, opened for reading.

        Raises:
            FileNotFoundError: nothing is there, or it is no regular file.
            IsADirectoryError: it is a directory.
        """
        fd, _ = self._resolve(path)
        try:
            mode = os.fstat(fd).st_mode
            if stat.S_ISDIR(mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
            if not stat.S_ISREG(mode):
                raise _missing(path)  # a FIFO or a device of the sandbox would hang or harm us
            # Opens what the descriptor stands for; no name is looked up again.
            with _readable(fd) as name:
                return name.open("rb")
        finally:
            os.close(fd)

    def _resolve(self, path: str) -> tuple[int, str]:
        """A path descriptor and the resolved name; symlinks are read as the sandbox would."""
        walker = _Walker(self.root)
        try:
            walker.go(f"/home/user/{path}" if not path.startswith("/") else path)
            return os.dup(walker.fds[-1]), "/" + "/".join(walker.names)
        except (NotADirectoryError, RecursionError):
            raise _missing(path) from None
        finally:
            walker.close(keep=0)


class _Walker:
    """Goes through folders one name at a time, from open directory to open directory."""

    def __init__(self, root: Path) -> None:
        self.fds = [os.open(root, _DIRECTORY)]
        self.names: list[str] = []
        self._links = 0

    def go(self, path: str) -> None:
        """Walks on by a path; an absolute one starts at the sandbox's root."""
        if path.startswith("/"):
            self.close(keep=1)
        for part in path.split("/"):
            if part == "..":
                self.close(keep=max(1, len(self.names)))
            elif part not in {"", "."}:
                self._enter(part)

    def close(self, *, keep: int) -> None:
        """Goes back up to the first `keep` directories."""
        for fd in self.fds[keep:]:
            os.close(fd)
        del self.fds[keep:], self.names[max(0, keep - 1) :]

    def _enter(self, name: str) -> None:
        with _readable(self.fds[-1]):
            fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.fds[-1])
        if not stat.S_ISLNK(os.fstat(fd).st_mode):
            self.fds.append(fd)
            self.names.append(name)
            return
        try:
            target = os.readlink("", dir_fd=fd)
        finally:
            os.close(fd)
        self._links += 1
        if self._links > _MAX_LINKS:
            raise RecursionError
        self.go(target)


def _below(fd: int, shown: str) -> Iterator[ImageEntry]:
    with _readable(fd) as listing:
        for name in sorted(os.listdir(listing)):  # noqa: PTH208 - of a descriptor, not of a path
            try:
                entry = _entry(fd, name, f"{shown.rstrip('/')}/{name}")
                yield entry
                if entry.type != "dir":
                    continue
                child = os.open(name, _DIRECTORY, dir_fd=fd)
            except (FileNotFoundError, NotADirectoryError):
                continue  # it changed while we looked; the sandbox may still run
            try:
                yield from _below(child, entry.path)
            finally:
                os.close(child)


@contextmanager
def _readable(fd: int) -> Iterator[Path]:
    """A name for what a path descriptor stands for, that may be opened for reading.

    A server that is not root must first allow itself what the sandbox forbade its own user.
    """
    name = Path(f"/proc/self/fd/{fd}")
    status = os.fstat(fd)
    mode = stat.S_IMODE(status.st_mode)
    wanted = mode | (stat.S_IRWXU if stat.S_ISDIR(status.st_mode) else stat.S_IRUSR)
    if mode == wanted or status.st_uid != os.geteuid():
        yield name
        return
    name.chmod(wanted)
    try:
        yield name
    finally:
        name.chmod(mode)


def _entry(fd: int, name: str, shown: str) -> ImageEntry:
    status = os.stat(name, dir_fd=fd, follow_symlinks=False)
    mode = status.st_mode
    kinds = ((stat.S_ISREG, "file"), (stat.S_ISDIR, "dir"), (stat.S_ISLNK, "symlink"))
    kind = next((word for is_kind, word in kinds if is_kind(mode)), "other")
    return ImageEntry(
        path=shown,
        type=kind,
        size_bytes=status.st_size if kind == "file" else 0,
        mode=stat.S_IMODE(mode),
        target=os.readlink(name, dir_fd=fd) if kind == "symlink" else None,
    )


def _missing(path: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
