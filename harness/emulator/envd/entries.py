"""Files and directories as envd's messages show them.

Source: e2b 2.63.0 e2b/envd/filesystem/filesystem_pb.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.emulator.envd.proto_json import without_defaults

__all__ = ["entry_info"]

_TYPES = {
    "file": "FILE_TYPE_FILE",
    "dir": "FILE_TYPE_DIRECTORY",
    "symlink": "FILE_TYPE_SYMLINK",
}


def entry_info(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The guest's entry as an EntryInfo in JSON.

    A 64-bit size is a string there; fields that are not set are left out, because old
    clients refuse a message with a field that they do not know.
    """
    size = entry.get("size") or 0
    return without_defaults(
        {
            "name": entry.get("name"),
            "type": _TYPES.get(entry.get("type", "")),
            "path": entry.get("path"),
            "size": str(size) if size else None,
            "mode": entry.get("mode"),
            "permissions": entry.get("permissions"),
            "owner": entry.get("owner"),
            "group": entry.get("group"),
            "modifiedTime": entry.get("modified"),
            "symlinkTarget": entry.get("symlink_target"),
            "metadata": entry.get("metadata"),
        }
    )
