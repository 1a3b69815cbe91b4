"""Watches the processes that created sandboxes, and says when the last of them is gone.

The kernel tells (a pidfd becomes readable at a process's end), so nothing polls. A
process counts for a sandbox when it created it, or asked for more time for it later.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Sequence

from harness.gateway.under_way import UnderWay
from harness.peers import Process

__all__ = ["OwnerWatch"]


class OwnerWatch:
    """Who needs which sandbox.

    Args:
        under_way: keeps the tasks that wait for the grace to pass.
        ending: set when the run is over, and nobody is waited for any more.
        grace_s: how long a sandbox outlives the last process that needed it; None watches
            nobody, and sandboxes stay until the run is over.
        on_orphan: called with a sandbox that nobody has asked for since.
    """

    def __init__(
        self,
        *,
        under_way: UnderWay,
        ending: asyncio.Event,
        grace_s: float | None,
        on_orphan: Callable[[str], Awaitable[object]],
    ) -> None:
        self._under_way = under_way
        self._ending = ending
        self._grace_s = grace_s
        self._on_orphan = on_orphan
        self._owners: dict[str, set[Process]] = {}
        self._descriptors: dict[Process, int] = {}

    def own(self, sandbox_id: str, processes: Sequence[Process] | None) -> None:
        """Notes that processes need a sandbox; None, somebody unknown, frees it of the watch."""
        if self._grace_s is None:
            return
        if processes is None:
            self.forget(sandbox_id)
            return
        owners = self._owners.setdefault(sandbox_id, set())
        owners |= {process for process in processes if self._watch(process)}
        if not owners:
            self._under_way.begin(self._after_grace(sandbox_id))

    def adopt(self, sandbox_id: str, processes: Sequence[Process] | None) -> None:
        """Notes that further processes need a sandbox that is watched."""
        if sandbox_id in self._owners and processes != ():
            self.own(sandbox_id, processes)

    def forget(self, sandbox_id: str) -> None:
        """Ends the watch over a sandbox."""
        self._owners.pop(sandbox_id, None)
        needed = {process for owners in self._owners.values() for process in owners}
        for process in [one for one in self._descriptors if one not in needed]:
            self._unwatch(process)

    def close(self) -> None:
        """Ends every watch."""
        self._owners.clear()
        for process in [*self._descriptors]:
            self._unwatch(process)

    def _watch(self, process: Process) -> bool:
        """Whether the process lives, and its end will be told."""
        if process in self._descriptors:
            return True
        try:
            descriptor = os.pidfd_open(process.pid)
        except OSError:  # gone, or no descriptor is left: then its start decides, once
            return process.alive
        if not process.alive:  # its number belongs to another one by now
            os.close(descriptor)
            return False
        self._descriptors[process] = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._ended, process)
        return True

    def _unwatch(self, process: Process) -> None:
        descriptor = self._descriptors.pop(process, None)
        if descriptor is not None:
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)

    def _ended(self, process: Process) -> None:
        self._unwatch(process)
        for sandbox_id, owners in self._owners.items():
            if process in owners:
                owners.discard(process)
                if not owners:
                    self._under_way.begin(self._after_grace(sandbox_id))

    async def _after_grace(self, sandbox_id: str) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ending.wait(), self._grace_s)
        if self._owners.get(sandbox_id) == set():
            self._owners.pop(sandbox_id)
            await self._on_orphan(sandbox_id)
