"""A server's folder of sandboxes: what is its own, what is stale, and how it is deleted."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import uuid
from pathlib import Path

__all__ = ["Workshop", "delete_tree"]

_PREFIX = ".host-"


class Workshop:
    """The hidden folder of one running server, below the folder that servers may share.

    What a server that died left behind is deleted by the next one: a lock, which the
    kernel frees at any death, tells the living from the dead.

    Args:
        state_dir: the shared folder; made where it is missing.
    """

    def __init__(self, state_dir: Path) -> None:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        for other in state_dir.glob(f"{_PREFIX}*"):
            _delete_if_dead(other)
        token = uuid.uuid4().hex[:12]
        draft = state_dir / f".draft-{token}"
        draft.mkdir(mode=0o700)
        self._lock = os.open(draft / "lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        # Under its name only once it is locked: another server would take it for a dead one's.
        self.folder = draft.rename(state_dir / f"{_PREFIX}{token}")

    def close(self) -> None:
        """Deletes the folder."""
        delete_tree(self.folder)
        os.close(self._lock)


def delete_tree(folder: Path) -> None:
    """Deletes a sandbox's files, also those that it made unreadable. A missing one is fine."""
    if os.geteuid() != 0:
        _open_directories(folder)
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return


def _open_directories(folder: Path) -> None:
    todo = [folder]
    while todo:
        path = todo.pop()
        try:
            path.chmod(stat.S_IRWXU)
            with os.scandir(path) as children:
                # Path.is_dir() would follow a sandbox's symlink to anywhere on this machine.
                todo += [Path(child) for child in children if child.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            continue


def _delete_if_dead(folder: Path) -> None:
    try:
        lock = os.open(folder / "lock", os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # being made, or being deleted
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        delete_tree(folder)
    except BlockingIOError:
        return
    finally:
        os.close(lock)
