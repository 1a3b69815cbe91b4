"""The folder of one emulator: locked while it lives, removed by itself or by the next.

A killed process removes nothing. Its lock goes with it, so the next emulator knows
which folders nobody uses.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness.errors import BrokenError

__all__ = ["default_base", "state_folder"]

_LOCK = "lock"
_PREFIX = "emulator-"


def default_base() -> Path:
    """Where folders are made unless a person says otherwise: per user, in the temp folder."""
    return Path(tempfile.gettempdir()) / f"e2b-harness-{os.getuid()}"


@contextlib.contextmanager
def state_folder(base: Path) -> Iterator[Path]:
    """A new folder below `base` for the time of the block.

    Args:
        base: shared between emulators; made where it is missing.

    Raises:
        BrokenError: where nothing can be written there.
    """
    try:
        base.mkdir(parents=True, exist_ok=True, mode=0o700)
        remove_stale(base)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
        lock = _locked(folder)
    except OSError as error:
        raise BrokenError(
            f"the emulator's state folder cannot be made: {error}",
            expected=f"a writable folder with free space at {base}",
            next_step="harness emulator serve --state-dir <folder>",
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, onerror=_make_writable)
        if lock is not None:
            os.close(lock)


def remove_stale(base: Path) -> None:
    """Removes the folders of emulators that no longer run."""
    for folder in base.glob(f"{_PREFIX}*"):
        lock = _locked(folder, create=False)
        if lock is not None:
            shutil.rmtree(folder, onerror=_make_writable)
            os.close(lock)


def _locked(folder: Path, *, create: bool = True) -> int | None:
    """A descriptor that holds the folder's lock; None where another process holds it."""
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    try:
        descriptor = os.open(folder / _LOCK, flags, 0o600)
    except FileNotFoundError:
        return None  # another emulator is just making it, or removing it
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _make_writable(function: object, path: str, error: object) -> None:
    """Tries once more after the modes that a sandbox gave to its files."""
    del function, error
    with contextlib.suppress(OSError):
        os.chmod(os.path.dirname(path), 0o700)  # noqa: PTH101, PTH120 - shutil hands strings
        os.chmod(path, 0o700, follow_symlinks=False)  # noqa: PTH101
    with contextlib.suppress(OSError):
        if os.path.isdir(path) and not os.path.islink(path):  # noqa: PTH112, PTH114
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)  # noqa: PTH108
