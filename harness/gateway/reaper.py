"""Ends what nobody needs in the middle of a run, and does not give up while it goes on.

Two things end up here: sandboxes whose processes are gone, and creates whose answer
was lost on the way, of which only the service knows whether they made a sandbox.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from harness.gateway.estate import Estate
from harness.gateway.upstream import Headers

__all__ = ["Reaper"]

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
# After these the create cannot be under way any more; what is left then, a sweep finds.
LOOKS_S = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaper:
    """Ends sandboxes of one run.

    Attributes:
        estate: what the run owns.
        ending: set when the run is over: then one more try, and no pause.
    """

    estate: Estate
    ending: asyncio.Event

    async def end(self, sandbox_id: str, *, by: str) -> None:
        """Ends a sandbox; a service that is out of order is asked again until the run is over."""
        pause_s = FIRST_PAUSE_S
        while await self.estate.kill(sandbox_id, by=by):
            if self.ending.is_set():
                return
            await self.pause(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def end_lost(
        self, nonce: str, headers: Headers, *, grace_s: float, unwanted: Callable[[], bool]
    ) -> None:
        """Looks for what a create made whose answer was lost, and ends it.

        Args:
            nonce: the create's.
            headers: its headers, for the credentials.
            grace_s: how long the client may ask again before.
            unwanted: whether it has not.
        """
        await self.pause(grace_s)
        for pause_s in LOOKS_S:
            await self.pause(pause_s)
            if not unwanted():
                return
            last = self.ending.is_set()
            found: tuple[str, ...] = ()
            with contextlib.suppress(httpx.HTTPError):  # no answer now: the next look may have one
                found = await self.estate.find(nonce, headers)
            if not unwanted():
                return
            for sandbox_id in found:
                self.estate.add(sandbox_id, headers, nonce=nonce, creators=())
                await self.estate.force()
                await self.end(sandbox_id, by="gateway: nobody got the answer")
            if found or last:
                return

    async def pause(self, pause_s: float) -> None:
        """Waits, but not beyond the end of the run."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.ending.wait(), pause_s)
