"""Which user ids this process may hand to sandboxes."""

from __future__ import annotations

import os
from pathlib import Path

from harness.errors import BrokenError

__all__ = ["FIRST_UID", "UIDS", "can_map_range", "refuse_real_root"]

FIRST_UID = 200_000
"""The host's id for a sandbox's root: above ordinary users, without any right of its own."""
UIDS = 65_536

_CAP_CHOWN, _CAP_SETGID, _CAP_SETUID, _CAP_SYS_ADMIN = 0, 6, 7, 21


def can_map_range(
    *, status: str | None = None, uid_map: str | None = None, euid: int | None = None
) -> bool:
    """Whether sandboxes can have a range of ids, so that their root and user are two.

    That takes root with its rights, and a namespace in which the range exists: root of a
    container may have neither.

    Args:
        status: stands in for /proc/self/status.
        uid_map: stands in for /proc/self/uid_map.
        euid: stands in for this process's user.
    """
    if (os.geteuid() if euid is None else euid) != 0:
        return False
    status = Path("/proc/self/status").read_text("ascii", "replace") if status is None else status
    uid_map = Path("/proc/self/uid_map").read_text("ascii") if uid_map is None else uid_map
    effective = next(
        (int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:")), 0
    )
    needed = (_CAP_CHOWN, _CAP_SETGID, _CAP_SETUID, _CAP_SYS_ADMIN)
    if not all(effective >> capability & 1 for capability in needed):
        return False
    ranges = [tuple(map(int, line.split())) for line in uid_map.splitlines()]
    return any(
        inside <= FIRST_UID and inside + count >= FIRST_UID + UIDS for inside, _, count in ranges
    )


def refuse_real_root(*, uid_map: str | None = None, euid: int | None = None) -> None:
    """Keeps the host's root itself from becoming a sandbox's root.

    Even without a capability it owns /proc/sys and more. Root of a container with user
    namespaces is another user on the host, and is fine.

    Args:
        uid_map: stands in for /proc/self/uid_map.
        euid: stands in for this process's user.

    Raises:
        BrokenError: this process is the host's root, and may not hand out other ids.
    """
    if (os.geteuid() if euid is None else euid) != 0:
        return
    uid_map = Path("/proc/self/uid_map").read_text("ascii") if uid_map is None else uid_map
    inside, outside, _ = map(int, uid_map.splitlines()[0].split())
    if (inside, outside) == (0, 0):
        raise BrokenError(
            "root without its full rights cannot make sandboxes: they would run as the host's root",
            expected="an ordinary user, or root with CAP_SYS_ADMIN, _SETUID, _SETGID and _CHOWN",
            next_step="run as an ordinary user (docker run --user 1000), or: --isolation process",
        )
