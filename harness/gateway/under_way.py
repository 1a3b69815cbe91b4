"""Work that was begun for a client and is finished even when the client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

__all__ = ["UnderWay"]

T = TypeVar("T")


class UnderWay:
    """The tasks that are not finished yet; this is who keeps a reference to them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Starts work that no disconnection cancels."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    async def settle(self, timeout_s: float) -> int:
        """Waits until everything is finished, but not for ever; how much is not."""
        if not self._tasks:
            return 0
        _, unfinished = await asyncio.wait(set(self._tasks), timeout=timeout_s)
        return len(unfinished)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever awaited it has it; nobody else is to be warned

    @staticmethod
    async def client_stays(task: asyncio.Task[Any], receive: Receive) -> bool:
        """Whether the client is still there when the task is finished; returns when it leaves."""
        leaving = asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
            # Both may be done by now, and then there is nobody to answer.
            return not leaving.done()
        finally:
            leaving.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
