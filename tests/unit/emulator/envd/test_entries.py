"""Entries as envd writes them."""

from __future__ import annotations

import json

from e2b.envd.filesystem.filesystem_pb import EntryInfo, FileType

from harness.emulator.envd.entries import entry_info

ENTRY = {
    "name": "f",
    "type": "file",
    "path": "/home/user/f",
    "size": 2**40,
    "mode": 0o644,
    "permissions": "-rw-r--r--",
    "owner": "user",
    "group": "user",
    "modified": "2026-01-02T03:04:05.678901Z",
    "metadata": {"a": "b"},
}


def test_entry_is_read_by_the_sdks_own_message() -> None:
    """Every field arrives, large sizes too."""
    message = EntryInfo.from_json(json.dumps(entry_info(ENTRY)))
    assert (message.size, message.mode, message.permissions) == (2**40, 0o644, "-rw-r--r--")
    assert message.type == FileType.FILE
    assert message.metadata == {"a": "b"}
    assert message.modified_time is not None


def test_entry_leaves_out_what_is_not_set() -> None:
    """Clients before 1.11 refuse fields that they do not know."""
    bare = {"name": "d", "type": "dir", "path": "/d", "size": 0}
    assert entry_info(bare) == {"name": "d", "type": "FILE_TYPE_DIRECTORY", "path": "/d"}
    assert entry_info({"name": "s", "type": "other"}) == {"name": "s"}
