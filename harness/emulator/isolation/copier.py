"""Copies a sandbox's files. It runs as a program: `copier.py SOURCE TARGET LIMIT_BYTES`.

A program of its own, because an ordinary user must become root of a user namespace to
read what a sandbox forbade its own user, and a process with threads cannot. Standard
library only; it imports nothing of the harness. The copying itself is done by GNU cp,
which shares blocks where the file system can and keeps xattrs, holes and hard links.

Exit code 0: copied; 3: the source is larger than the limit, and nothing was copied.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

__all__ = ["TOO_LARGE", "main"]

TOO_LARGE = 3
_CLONE_NEWUSER = 0x10000000
_BLOCK_BYTES = 512


def main() -> None:
    """Copies, and ends as cp ends."""
    source, target, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
    _become_root()
    if _size_bytes(source) > limit:
        sys.exit(TOO_LARGE)
    command = ["cp", "-a", "--reflink=auto", "--sparse=auto", "--", source, target]
    os.execvp(command[0], command)  # noqa: S606 - no shell is wanted


def _become_root() -> None:
    """Takes every right over this user's own files; where the kernel refuses, what it has."""
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0 or ctypes.CDLL(None).unshare(_CLONE_NEWUSER) != 0:
        return
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        Path(f"/proc/self/{name}").write_text(text, encoding="ascii")


def _size_bytes(folder: str) -> int:
    """What the tree takes on disk; a file with several names counts once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for path, _, files in os.walk(folder):
        for name in files:
            status = Path(path, name).lstat()
            key = (status.st_dev, status.st_ino)
            if key not in seen:
                seen.add(key)
                total += status.st_blocks * _BLOCK_BYTES
    return total


if __name__ == "__main__":
    main()
