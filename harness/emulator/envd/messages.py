"""Which fields the messages to envd have, so that others can be told of.

Source: e2b-dev/infra packages/envd/spec (process/process.proto, filesystem/filesystem.proto);
e2b 2.63.0 e2b/envd (process_pb.py, filesystem_pb.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.emulator.envd.proto_json import snake_case

__all__ = ["unknown_fields"]

Shape = Mapping[str, Any]  # a field's name to the shape of its message; None for any other field

_SELECTOR: Shape = {"pid": None, "tag": None}
_PTY: Shape = {"size": {"cols": None, "rows": None}}
_INPUT: Shape = {"stdin": None, "pty": None}
_CONFIG: Shape = {"cmd": None, "args": None, "envs": None, "cwd": None}
_WATCH: Shape = {
    "path": None,
    "recursive": None,
    "include_entry": None,
    "allow_network_mounts": None,
}
_SHAPES: Mapping[str, Shape] = {
    "/process.Process/List": {},
    "/process.Process/Start": {"process": _CONFIG, "pty": _PTY, "tag": None, "stdin": None},
    "/process.Process/Connect": {"process": _SELECTOR},
    "/process.Process/Update": {"process": _SELECTOR, "pty": _PTY},
    "/process.Process/SendInput": {"process": _SELECTOR, "input": _INPUT},
    "/process.Process/StreamInput": {
        "start": {"process": _SELECTOR},
        "data": {"input": _INPUT},
        "keepalive": {},
    },
    "/process.Process/SendSignal": {"process": _SELECTOR, "signal": None},
    "/process.Process/CloseStdin": {"process": _SELECTOR},
    "/filesystem.Filesystem/Stat": {"path": None},
    "/filesystem.Filesystem/MakeDir": {"path": None},
    "/filesystem.Filesystem/Move": {"source": None, "destination": None},
    "/filesystem.Filesystem/ListDir": {"path": None, "depth": None},
    "/filesystem.Filesystem/Remove": {"path": None},
    "/filesystem.Filesystem/WatchDir": _WATCH,
    "/filesystem.Filesystem/CreateWatcher": _WATCH,
    "/filesystem.Filesystem/GetWatcherEvents": {"watcher_id": None},
    "/filesystem.Filesystem/RemoveWatcher": {"watcher_id": None},
}


def unknown_fields(procedure: str, message: Mapping[str, Any]) -> Iterator[str]:
    """The fields of a message that its procedure does not know, as `outer.inner`.

    Args:
        procedure: its path, such as "/process.Process/Start".
        message: the decoded JSON object.
    """
    yield from _unknown(message, _SHAPES[procedure], "")


def _unknown(message: Mapping[str, Any], shape: Shape, prefix: str) -> Iterator[str]:
    for name, value in message.items():
        inner = shape.get(snake_case(name), _MISSING)
        if inner is _MISSING:
            yield prefix + name
        elif inner is not None and isinstance(value, Mapping):
            yield from _unknown(value, inner, f"{prefix}{name}.")


_MISSING = object()
