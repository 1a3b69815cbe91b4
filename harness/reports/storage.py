"""Files that are either whole or not there.

Several files of one folder become visible together: each is written beside its
final place, synced, and renamed only when all of them are safe on the disk.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from harness.errors import BrokenError

__all__ = ["write_files"]


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Replaces files of a folder, all or none; the last one named is renamed last.

    Args:
        folder: made where it is missing.
        files: content by file name, in the order in which they appear.

    Raises:
        BrokenError: if the folder or the disk takes no file; what was there before stays.
    """
    staged: list[tuple[Path, Path]] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            staged.append((_staged(folder, name, content), folder / name))
        for temporary, final in staged:
            temporary.replace(final)
        _sync(folder)
    except OSError as error:
        raise BrokenError(
            f"the report cannot be written to {folder}: {error.strerror or error}",
            expected="a folder that this user may write to, on a disk with space left",
            next_step=f"df -h {folder.parent} && ls -ld {folder.parent}, then run again",
        ) from error
    finally:
        for temporary, _ in staged:
            temporary.unlink(missing_ok=True)


def _staged(folder: Path, name: str, content: bytes) -> Path:
    handle, path = tempfile.mkstemp(prefix=f".{name}.", suffix=".part", dir=folder)
    temporary = Path(path)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
