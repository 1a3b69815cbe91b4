"""The folder of a program as one archive: what goes on its way to both sides, and what not.

Files, folders (also empty ones) and links that stay inside go, with their modes and
times. What cannot go is named, with the reason.
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from harness.errors import UsageError

__all__ = ["MAX_JOB_BYTES", "Job", "read_job"]

MAX_JOB_BYTES = 1 << 30
_BYTECODE = "__pycache__"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a folder holds.

    Attributes:
        folder: where it is.
        paths: what goes, relative and sorted; a folder comes before what is in it.
        refused: what does not go: path -> why.
    """

    folder: Path
    paths: tuple[PurePosixPath, ...]
    refused: Mapping[str, str]

    def pack(self, archive: Path) -> None:
        """Writes the archive.

        Raises:
            OSError: if a file of it cannot be read any more.
        """
        with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
            for path in self.paths:
                tar.add(self.folder / path, arcname=str(path), recursive=False, filter=_owned)


def read_job(folder: Path) -> Job:
    """Looks through a folder.

    Raises:
        UsageError: if something in it cannot be read, or it is too large.
    """
    root = folder.resolve()
    paths: list[PurePosixPath] = []
    refused: dict[str, str] = {}
    size_bytes = 0
    unreadable: list[str] = []
    for path in _walk(root, unreadable):
        name = PurePosixPath(path.relative_to(root))
        reason = _refusal(root, path)
        if reason is not None:
            refused[str(name)] = reason
            continue
        status = path.lstat()
        if stat.S_ISREG(status.st_mode):
            size_bytes += status.st_size
            if not os.access(path, os.R_OK):
                unreadable.append(str(name))
        paths.append(name)
    if unreadable:
        raise UsageError(
            f"--files {folder}: cannot be read: {', '.join(sorted(unreadable))}",
            expected="a folder of files that this user may read",
            next_step=f"correct the permissions, or move them out of {folder}",
        )
    if size_bytes > MAX_JOB_BYTES:
        raise UsageError(
            f"--files {folder}: {size_bytes} bytes",
            expected=f"at most {MAX_JOB_BYTES} bytes, for they go into a sandbox",
            next_step=f"move what the program does not need out of {folder}",
        )
    return Job(folder=root, paths=tuple(paths), refused=refused)


def _walk(root: Path, unreadable: list[str]) -> Iterator[Path]:
    def note(error: OSError) -> None:
        unreadable.append(str(Path(error.filename or root)))

    for parent, folders, files in os.walk(root, onerror=note):
        folders[:] = sorted(name for name in folders if name != _BYTECODE)
        for name in sorted([*folders, *files]):
            yield Path(parent, name)


def _refusal(root: Path, path: Path) -> str | None:
    """Why an entry does not go; None where it goes."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        target = path.readlink()
        if target.is_absolute():
            return "a link with an absolute path"
        if not (path.parent / target).resolve().is_relative_to(root):
            return "a link that leads outside"
        return None
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return None
    return "neither a file nor a folder nor a link"


def _owned(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Nobody's: whoever unpacks it owns it. A hard link goes as a file of its own."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
