"""Who may hand out user ids."""

from __future__ import annotations

import pytest

from harness.emulator.isolation.user_ids import can_map_range, refuse_real_root
from harness.errors import BrokenError

ALL = "CapEff:\t000001ffffffffff\n"
WHOLE = "         0          0 4294967295\n"


@pytest.mark.parametrize(
    ("status", "uid_map", "euid", "can"),
    [
        (ALL, WHOLE, 0, True),
        (ALL, WHOLE, 1000, False),
        ("CapEff:\t00000000a80425fb\n", WHOLE, 0, False),  # root of a Docker container
        ("CapEff:\t0\n", WHOLE, 0, False),
        (ALL, "0 1000 1\n1 100000 65536\n", 0, False),  # root of a rootless container
        (ALL, "0 1000 1\n1 100000 1000000\n", 0, True),
        ("", WHOLE, 0, False),
    ],
)
def test_range_needs_root_its_rights_and_the_ids(
    status: str, uid_map: str, euid: int, *, can: bool
) -> None:
    """Every one of the three is needed."""
    assert can_map_range(status=status, uid_map=uid_map, euid=euid) is can


def test_real_root_without_rights_is_refused_and_others_are_not() -> None:
    """The host's root must not become a sandbox's; root of a user namespace is somebody else."""
    with pytest.raises(BrokenError, match="host's root"):
        refuse_real_root(uid_map=WHOLE, euid=0)
    refuse_real_root(uid_map="0 1000 1\n1 100000 65536\n", euid=0)
    refuse_real_root(uid_map=WHOLE, euid=1000)
