"""Fields that envd's messages do not have are named, and no other."""

from __future__ import annotations

from typing import Any

import pytest
from e2b.envd.filesystem import filesystem_pb
from e2b.envd.process import process_pb

from harness.emulator.envd.messages import unknown_fields

START = "/process.Process/Start"


@pytest.mark.parametrize(
    ("procedure", "message", "unknown"),
    [
        (START, {"process": {"cmd": "a", "envs": {"nice": "1"}}, "stdin": False}, []),
        (START, {"process": {"cmd": "a", "nice": 1}, "cgroup": "x"}, ["process.nice", "cgroup"]),
        (START, {"pty": {"size": {"cols": 1, "depth": 2}}}, ["pty.size.depth"]),
        (START, {"process": None}, []),
        ("/process.Process/List", {"all": True}, ["all"]),
        ("/filesystem.Filesystem/WatchDir", {"path": "/", "includeEntry": True}, []),
        ("/filesystem.Filesystem/WatchDir", {"path": "/", "include_entry": True}, []),
        ("/filesystem.Filesystem/GetWatcherEvents", {"watcherId": "1", "since": 2}, ["since"]),
    ],
)
def test_field_is_unknown_where_its_message_has_none_of_that_name(
    procedure: str, message: dict[str, Any], unknown: list[str]
) -> None:
    """At any depth, in both spellings; what a map holds is no field."""
    assert [*unknown_fields(procedure, message)] == unknown


@pytest.mark.parametrize(
    ("service", "module"),
    [("process.Process", process_pb), ("filesystem.Filesystem", filesystem_pb)],
)
def test_no_field_that_the_sdk_has_is_unknown(service: str, module: Any) -> None:
    """Each request message of the installed SDK, field for field."""
    seen = 0
    for name in dir(module):
        procedure = f"/{service}/{name.removesuffix('Request')}"
        if not name.endswith("Request"):
            continue
        fields = {field.lstrip("_"): None for field in getattr(module, name).__slots__}
        assert [*unknown_fields(procedure, fields)] in ([], ["event"]), name  # a oneof's own name
        seen += 1
    assert seen >= 8
