"""Writes a tar stream below a folder, and nowhere else.

What a sandbox left behind is not to be trusted: names with `..`, absolute names,
symlinks that lead away and files under them stay inside, or are left out.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path
from typing import IO

__all__ = ["unpack_tar"]

_READABLE = 0o600
_EXECUTABLE = 0o100


def unpack_tar(stream: IO[bytes], into: Path) -> None:
    """Unpacks files, directories, and the symlinks that stay inside.

    Args:
        stream: an uncompressed tar.
        into: the folder; made where it is missing.

    Raises:
        tarfile.TarError: the stream is no tar, or ends too early.
    """
    into.mkdir(parents=True, exist_ok=True)
    root = into.resolve()
    links: list[tuple[Path, str]] = []
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            target = _inside(root, member.name)
            if target is None:
                continue
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
            elif member.isfile():
                _write(archive, member, target)
            elif member.issym():
                links.append((target, member.linkname))
    # Last, so that no file is ever written through one of them.
    for target, destination in links:
        _link(root, target, destination)


def _inside(root: Path, name: str) -> Path | None:
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if ".." in parts:
        return None
    return root.joinpath(*parts)


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source = archive.extractfile(member)
    if source is None:
        raise tarfile.ReadError(f"{member.name} has no content")
    with source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy)
    target.chmod(_READABLE | (member.mode & _EXECUTABLE))


def _link(root: Path, target: Path, destination: str) -> None:
    if target.exists() or target.is_symlink() or destination.startswith("/"):
        return
    resolved = Path(os.path.normpath(target.parent / destination))
    if not resolved.is_relative_to(root):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(destination)
