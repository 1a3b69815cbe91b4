"""Creates that the plan does not allow yet wait in line, and are asked again: 429 is no failure.

Nobody overtakes: while one waits, whoever comes later waits behind it. How long a
create may wait is the caller's patience, which is to stay below the client's own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from harness.clock import Clock
from harness.gateway.upstream import Headers

__all__ = ["Turnstile"]

TOO_MANY_REQUESTS = 429
FIRST_PAUSE_S = 1.0  # where the service does not say how long: it counts creates by the second
LONGEST_PAUSE_S = 5.0


class _Answer(Protocol):
    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Headers: ...


A = TypeVar("A", bound=_Answer)


@dataclass(slots=True, kw_only=True)
class Turnstile:
    """The line of those who wait for the plan.

    Attributes:
        clock: measures the patience.
        pause: waits that many seconds, or less where the run is over.
        patience_s: how long a create may wait; 0 passes every answer on as it comes.
    """

    clock: Clock
    pause: Callable[[float], Awaitable[None]]
    patience_s: float = 0.0
    _line: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def pass_through(
        self, ask: Callable[[], Awaitable[A]], *, given_up: Callable[[], bool]
    ) -> A:
        """The service's answer; a 429 only when the patience is over, or the client is gone.

        Args:
            ask: sends the create.
            given_up: whether nobody waits for it any more.

        Raises:
            httpx.HTTPError: if no answer comes.
        """
        until_s = self.clock.monotonic_s() + self.patience_s
        if not self._line.locked():
            answer = await ask()
            if answer.status != TOO_MANY_REQUESTS or self.patience_s <= 0:
                return answer
        in_line = False
        with contextlib.suppress(TimeoutError):
            in_line = await asyncio.wait_for(self._line.acquire(), self.patience_s)
        try:
            return await self._ask_again(ask, until_s, given_up)
        finally:
            if in_line:
                self._line.release()

    async def _ask_again(
        self, ask: Callable[[], Awaitable[A]], until_s: float, given_up: Callable[[], bool]
    ) -> A:
        pause_s = FIRST_PAUSE_S
        while True:
            answer = await ask()
            if answer.status != TOO_MANY_REQUESTS or given_up():
                return answer
            wait_s = _retry_after_s(answer.headers) or pause_s
            if self.clock.monotonic_s() + wait_s >= until_s:
                return answer
            await self.pause(wait_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def _retry_after_s(headers: Headers) -> float | None:
    """What the service asks for, in seconds; None where it names none."""
    for name, value in headers:
        if name == b"retry-after" and value.isdigit():
            return max(float(value), FIRST_PAUSE_S)
    return None
