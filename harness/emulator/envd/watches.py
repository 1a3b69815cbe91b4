"""Watches whose events a client fetches, and the events themselves.

A fetch first has the guest hand over what the kernel has queued, so that the events
of a write are there on the first fetch after it.
Source: e2b-dev/infra packages/envd/internal/services/filesystem/watch_sync.go.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from harness.emulator.credentials import new_id
from harness.emulator.envd.caller import Caller
from harness.emulator.envd.connect import ConnectError
from harness.emulator.envd.entries import entry_info
from harness.emulator.isolation import GuestError, GuestStream, SandboxGoneError

__all__ = ["Watches", "watch_events"]

MAX_PENDING_EVENTS = 100_000
DRAIN_DEADLINE_S = 2.0
_TYPES = {
    "CREATE": "EVENT_TYPE_CREATE",
    "WRITE": "EVENT_TYPE_WRITE",
    "REMOVE": "EVENT_TYPE_REMOVE",
    "RENAME": "EVENT_TYPE_RENAME",
    "CHMOD": "EVENT_TYPE_CHMOD",
}
# What a removed or renamed name refers to is gone, and another may stand in its place.
_WITH_ENTRY = frozenset({"CREATE", "WRITE", "CHMOD"})
_DRAIN = b"\0"


@dataclass(slots=True, kw_only=True, eq=False)
class _Watch:
    """One polled watch.

    Attributes:
        sandbox_id: the sandbox.
        started: set once the kernel watches, or the watch has failed.
        drained: set when the guest has handed over everything.
        stream: the guest's stream, once it is open.
        events: what was not fetched yet.
        failure: why the watch ended.
        task: reads the stream.
    """

    sandbox_id: str
    started: asyncio.Event = field(default_factory=asyncio.Event)
    drained: asyncio.Event = field(default_factory=asyncio.Event)
    stream: GuestStream | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    failure: Exception | None = None
    task: asyncio.Task[None] | None = None


class Watches:
    """The polled watches of every sandbox."""

    def __init__(self) -> None:
        self._watches: dict[str, _Watch] = {}

    async def create(
        self, caller: Caller, *, path: str, recursive: bool, include_entry: bool
    ) -> str:
        """Starts a watch; when this returns, the kernel watches.

        Returns:
            The watch's id.

        Raises:
            GuestError: not_found where nothing is there, invalid_argument for a file.
        """
        watch = _Watch(sandbox_id=caller.life.sandbox_id)
        watch.task = asyncio.create_task(
            _read(watch, caller, path=path, recursive=recursive, include_entry=include_entry)
        )
        await watch.started.wait()
        if watch.failure is not None:
            raise watch.failure
        watcher_id = new_id("w")
        self._watches[watcher_id] = watch
        watch.task.add_done_callback(lambda _: self._forget_if_gone(watcher_id))
        return watcher_id

    async def drain(self, caller: Caller, watcher_id: str) -> list[dict[str, Any]]:
        """The events since the last time.

        Raises:
            ConnectError: not_found for an unknown watch.
        """
        watch = self._find(caller, watcher_id)
        if watch.failure is not None:
            raise watch.failure
        if watch.stream is not None:
            watch.drained.clear()
            await watch.stream.send(_DRAIN)
            async with asyncio.timeout(DRAIN_DEADLINE_S):
                await watch.drained.wait()
        events, watch.events = watch.events, []
        return events

    async def remove(self, caller: Caller, watcher_id: str) -> None:
        """Ends a watch.

        Raises:
            ConnectError: not_found for an unknown watch.
        """
        watch = self._find(caller, watcher_id)
        del self._watches[watcher_id]
        if watch.task is not None:
            watch.task.cancel()
            await asyncio.gather(watch.task, return_exceptions=True)

    async def close(self) -> None:
        """Ends every watch."""
        tasks = [watch.task for watch in self._watches.values() if watch.task is not None]
        self._watches.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _find(self, caller: Caller, watcher_id: str) -> _Watch:
        watch = self._watches.get(watcher_id)
        if watch is None or watch.sandbox_id != caller.life.sandbox_id:
            raise ConnectError("not_found", f"watcher with id {watcher_id} not found")
        return watch

    def _forget_if_gone(self, watcher_id: str) -> None:
        watch = self._watches.get(watcher_id)
        if watch is not None and isinstance(watch.failure, SandboxGoneError):
            del self._watches[watcher_id]


async def watch_events(
    caller: Caller, stream: GuestStream, *, include_entry: bool
) -> AsyncIterator[dict[str, Any] | None]:
    """The events of a watch as FilesystemEvents in JSON; None stands for its start."""
    path = caller.exchange.entry.details["path"]
    async for frame in stream:
        if isinstance(frame, bytes):
            continue
        if frame["event"] == "started":
            yield None
        elif frame["event"] == "fs":
            yield await _filesystem_event(caller, path, frame, include_entry=include_entry)


async def _filesystem_event(
    caller: Caller, path: str, frame: dict[str, Any], *, include_entry: bool
) -> dict[str, Any]:
    event: dict[str, Any] = {"name": frame["name"], "type": _TYPES[frame["type"]]}
    if include_entry and frame["type"] in _WITH_ENTRY:
        full_path = f"{path.rstrip('/')}/{frame['name']}"
        try:
            result = await caller.guest.call("fs.stat", path=full_path, user=caller.user)
        except GuestError:
            return event  # removed between the event and the look at it
        event["entry"] = entry_info(result["entry"])
    return event


async def _read(
    watch: _Watch, caller: Caller, *, path: str, recursive: bool, include_entry: bool
) -> None:
    try:
        async with caller.guest.stream(
            "fs.watch", path=path, recursive=recursive, user=caller.user
        ) as stream:
            watch.stream = stream
            async for frame in stream:
                if isinstance(frame, bytes):
                    continue
                if frame["event"] == "started":
                    watch.started.set()
                elif frame["event"] == "drained":
                    watch.drained.set()
                elif frame["event"] == "fs" and len(watch.events) < MAX_PENDING_EVENTS:
                    watch.events.append(
                        await _filesystem_event(caller, path, frame, include_entry=include_entry)
                    )
    except (GuestError, SandboxGoneError) as error:
        watch.failure = error
    finally:
        watch.stream = None
        watch.started.set()
        watch.drained.set()
