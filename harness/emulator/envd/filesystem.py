"""envd's service filesystem.Filesystem: entries and watches.

Source: e2b-dev/infra packages/envd/internal/services/filesystem; e2b 2.63.0
e2b/envd/filesystem/filesystem_pb.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from harness.emulator.envd.caller import Caller
from harness.emulator.envd.connect import JsonCodec, timeout_s_of
from harness.emulator.envd.entries import entry_info
from harness.emulator.envd.procedures import Procedure, Procedures, StreamOut
from harness.emulator.envd.proto_json import Fields, without_defaults
from harness.emulator.envd.watches import Watches, watch_events

__all__ = ["FilesystemService"]

_CODEC = JsonCodec()
_KEEPALIVE = _CODEC.encode({"keepalive": {}})
_STARTED = _CODEC.encode({"start": {}})


class FilesystemService(Procedures):
    """The procedures of filesystem.Filesystem.

    Args:
        watches: the polled watches of every sandbox.
    """

    name = "filesystem.Filesystem"

    def __init__(self, watches: Watches) -> None:
        self._watches = watches

    def procedures(self) -> dict[str, Procedure]:
        """The procedures by name."""
        return {
            "Stat": Procedure.unary(self.stat),
            "ListDir": Procedure.unary(self.list_dir),
            "MakeDir": Procedure.unary(self.make_dir),
            "Move": Procedure.unary(self.move),
            "Remove": Procedure.unary(self.remove),
            "WatchDir": Procedure.server_stream(self.watch_dir),
            "CreateWatcher": Procedure.unary(self.create_watcher),
            "GetWatcherEvents": Procedure.unary(self.get_watcher_events),
            "RemoveWatcher": Procedure.unary(self.remove_watcher),
        }

    async def stat(self, caller: Caller, fields: Fields) -> dict[str, Any]:
        """One entry."""
        path = _noted_path(caller, fields)
        result = await caller.guest.call("fs.stat", path=path, user=caller.user)
        return {"entry": entry_info(result["entry"])}

    async def list_dir(self, caller: Caller, fields: Fields) -> dict[str, Any]:
        """The entries below a directory, sorted; depth 0 counts as 1."""
        path = _noted_path(caller, fields)
        depth = fields.number("depth") or 1
        result = await caller.guest.call("fs.list", path=path, depth=depth, user=caller.user)
        return without_defaults({"entries": [entry_info(entry) for entry in result["entries"]]})

    async def make_dir(self, caller: Caller, fields: Fields) -> dict[str, Any]:
        """A new directory and its parents."""
        path = _noted_path(caller, fields)
        result = await caller.guest.call("fs.mkdir", path=path, user=caller.user)
        return {"entry": entry_info(result["entry"])}

    async def move(self, caller: Caller, fields: Fields) -> dict[str, Any]:
        """Renames; the parents of the destination are made."""
        source, destination = fields.text("source"), fields.text("destination")
        caller.exchange.entry.details = {"source": source, "destination": destination}
        result = await caller.guest.call(
            "fs.move", source=source, destination=destination, user=caller.user
        )
        return {"entry": entry_info(result["entry"])}

    async def remove(self, caller: Caller, fields: Fields) -> dict[str, Any]:
        """Removes a file or a tree; a missing one is fine."""
        path = _noted_path(caller, fields)
        return await caller.guest.call("fs.remove", path=path, user=caller.user)

    async def watch_dir(self, caller: Caller, fields: Fields) -> StreamOut:
        """Events below a directory, from the moment the start event is sent."""
        return StreamOut(
            messages=_watch_messages(caller, fields),
            keepalive=_KEEPALIVE,
            timeout_s=timeout_s_of(caller.request),
        )

    async def create_watcher(self, caller: Caller, fields: Fields) -> dict[str, Any]:
        """A watch whose events are fetched."""
        watcher_id = await self._watches.create(
            caller,
            path=_noted_path(caller, fields),
            recursive=fields.boolean("recursive"),
            include_entry=fields.boolean("includeEntry"),
        )
        return {"watcherId": watcher_id}

    async def get_watcher_events(self, caller: Caller, fields: Fields) -> dict[str, Any]:
        """The events since the last time."""
        events = await self._watches.drain(caller, fields.text("watcherId"))
        return without_defaults({"events": events})

    async def remove_watcher(self, caller: Caller, fields: Fields) -> dict[str, Any]:
        """Ends a watch."""
        await self._watches.remove(caller, fields.text("watcherId"))
        return {}


async def _watch_messages(caller: Caller, fields: Fields) -> AsyncIterator[bytes]:
    async with caller.guest.stream(
        "fs.watch",
        path=_noted_path(caller, fields),
        recursive=fields.boolean("recursive"),
        user=caller.user,
    ) as stream:
        include_entry = fields.boolean("includeEntry")
        async for event in watch_events(caller, stream, include_entry=include_entry):
            yield _STARTED if event is None else _CODEC.encode({"filesystem": event})


def _noted_path(caller: Caller, fields: Fields) -> str:
    path = fields.text("path")
    caller.exchange.entry.details = {"path": path}
    return path
