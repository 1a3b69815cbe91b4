"""Folders of runs: the last few are kept, older ones make room.

A run holds a lock on its folder, so that another one that begins meanwhile does not
take it for an old one.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from harness.errors import BrokenError

__all__ = ["KEPT_RUNS", "run_folder"]

KEPT_RUNS = 4
_LOCK = ".running"


@contextmanager
def run_folder(runs: Path, run_id: str, *, kept: int = KEPT_RUNS) -> Iterator[Path]:
    """The folder of a new run; of those of its kind that have ended, the newest stay.

    Args:
        runs: where runs are.
        run_id: `<kind>-<something that sorts by time>`.
        kept: how many folders of this kind there are at most, this one and those of
            runs that have not ended aside.

    Raises:
        BrokenError: if the disk takes no more.
    """
    folder = runs / run_id
    with _begun(folder) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _make_room(runs, run_id, kept)
        yield folder
        (folder / _LOCK).unlink(missing_ok=True)


def _begun(folder: Path) -> TextIO:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / _LOCK).open("w", encoding="ascii")
    except OSError as error:
        raise BrokenError(
            f"{error.filename or folder}: {error.strerror}",
            expected="a folder testing_env that this user may write to, with space left",
            next_step=f"df -h {folder.parent} && ls -ld {folder.parent}, then run again",
        ) from error


def _make_room(runs: Path, run_id: str, kept: int) -> None:
    kind = run_id.split("-", 1)[0]
    others = [path for path in runs.glob(f"{kind}-*") if path.is_dir() and path.name != run_id]
    ended = [path for path in sorted(others) if not _is_running(path)]
    for path in ended[: max(0, len(ended) - kept)]:
        shutil.rmtree(path, ignore_errors=True)  # what cannot be removed is no run's business


def _is_running(folder: Path) -> bool:
    try:
        with (folder / _LOCK).open("r", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
