"""What the agent says of a file: its type, size, rights, owner and times.

Source: e2b-dev/infra packages/shared/pkg/filesystem/entry.go
"""

from __future__ import annotations

import os
import stat
import time

from .accounts import Account, Accounts
from .metadata import Metadata
from .places import Places

TYPE_CHECKING = False  # typing's own costs every start of an agent its import
if TYPE_CHECKING:
    from .frames import Json

__all__ = ["Entries"]

_SPECIAL = (  # Go's letters, in its order
    (stat.S_ISDIR, "d"),
    (stat.S_ISLNK, "L"),
    (stat.S_ISBLK, "D"),
    (stat.S_ISCHR, "Dc"),
    (stat.S_ISFIFO, "p"),
    (stat.S_ISSOCK, "S"),
)


class Entries:
    """Describes files for clients."""

    def __init__(self, accounts: Accounts, places: Places, metadata: Metadata) -> None:
        self._accounts = accounts
        self._places = places
        self._metadata = metadata

    def describe(self, shown: str, viewer: Account, *, real: str | None = None) -> Json:
        """The entry of the file at a path, as PROTOCOL.md lists it.

        Args:
            shown: the path as the client knows it.
            viewer: whose eyes see the owner.
            real: where it really is, if that is known already.

        Raises:
            OSError: it is not there.
        """
        real = self._places.real(shown) if real is None else real
        status = os.lstat(real)
        mode, kind = stat.S_IMODE(status.st_mode) & 0o777, _kind(status.st_mode)
        target = None
        if stat.S_ISLNK(status.st_mode):
            target, mode, kind = self._follow(shown, real)
        owner, group = self._accounts.owner(status.st_uid, status.st_gid, viewer)
        entry = {
            "name": os.path.basename(shown) or "/",
            "type": kind,
            "path": shown,
            "size": status.st_size,
            "mode": mode,
            "permissions": _permissions(status.st_mode),
            "owner": owner,
            "group": group,
            "modified": _rfc3339(status.st_mtime_ns),
        }
        if target is not None:
            entry["symlink_target"] = target
        metadata = self._metadata.read(real)
        if metadata:
            entry["metadata"] = metadata
        return entry

    def _follow(self, shown: str, real: str) -> tuple[str, int, str]:
        try:
            target = os.path.realpath(real)
            status = os.stat(target)
        except OSError:
            return shown, 0, "other"  # dangling, or a circle
        return (
            self._places.shown(target),
            stat.S_IMODE(status.st_mode) & 0o777,
            _kind(status.st_mode),
        )


def _kind(mode: int) -> str:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "dir"
    return "symlink" if stat.S_ISLNK(mode) else "other"


def _permissions(mode: int) -> str:
    letters = "".join(letter for is_kind, letter in _SPECIAL if is_kind(mode))
    for bit, letter in ((stat.S_ISUID, "u"), (stat.S_ISGID, "g"), (stat.S_ISVTX, "t")):
        if mode & bit:
            letters += letter
    rights = "".join(
        letter if mode & (1 << (8 - place)) else "-" for place, letter in enumerate("rwxrwxrwx")
    )
    return (letters or "-") + rights


def _rfc3339(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09d}Z"
