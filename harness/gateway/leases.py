"""Short lives that are prolonged while somebody is here to do it: a dead-man switch.

Whoever burns down with everything that could end a sandbox leaves it to the service,
which ends it at its timeout. With leases the service is told a short one, and each is
prolonged until the end that the client asked for; the client's own requests for more
time move that end. A sandbox that pauses at its timeout gets no lease: it would pause.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeGuard

import httpx

from harness.clock import Clock
from harness.gateway.estate import credentials_of
from harness.gateway.stamp import MAX_LIFE_S
from harness.gateway.upstream import Headers, Upstream

__all__ = ["Leases"]

BEATS = 3  # so many in one lease: two may get lost
_LIFE = {"timeout": "timeout", "connect": "timeout", "resume": "timeout", "refreshes": "duration"}


@dataclass(slots=True, kw_only=True)
class Leases:
    """The leases of one run.

    Attributes:
        upstream: the service.
        clock: the service's time.
        ending: set when the run is over; nothing is prolonged from then on.
        is_held: whether a sandbox is not known to be over.
        lease_s: how long the service is told that a sandbox lives; None changes nothing.
    """

    upstream: Upstream
    clock: Clock
    ending: asyncio.Event
    is_held: Callable[[str], bool]
    lease_s: int | None
    _ends: dict[str, datetime] = field(default_factory=dict)

    def shorten_create(self, body: bytes) -> tuple[bytes, int]:
        """The body with a lease for its timeout, and the life that was asked; 0 for no lease."""
        fields = _object(body)
        asked = fields.get("timeout")
        if not self._is_longer(asked) or _pauses(fields):
            return body, 0
        fields["timeout"] = self.lease_s
        return json.dumps(fields, separators=(",", ":")).encode(), asked

    def shorten_renewal(self, sandbox_id: str, action: str, body: bytes) -> bytes:
        """The body of a request for more time, with no more than a lease; notes the new end."""
        if sandbox_id not in self._ends:
            return body
        fields = _object(body)
        name = _LIFE[action]
        asked = fields.get(name)
        if not isinstance(asked, int) or isinstance(asked, bool) or not 0 <= asked <= MAX_LIFE_S:
            return body  # the service refuses it, or takes its own default
        end = self.clock.now() + timedelta(seconds=asked)
        prolongs_only = action in {"connect", "refreshes"}
        self._ends[sandbox_id] = max(end, self._ends[sandbox_id]) if prolongs_only else end
        if not self._is_longer(asked):
            return body
        fields[name] = self.lease_s
        return json.dumps(fields, separators=(",", ":")).encode()

    async def keep(self, sandbox_id: str, asked_s: int, headers: Headers) -> None:
        """Prolongs a sandbox until the end that was asked for, its own end, or the run's."""
        if self.lease_s is None or not asked_s:
            return
        self._ends[sandbox_id] = self.clock.now() + timedelta(seconds=asked_s)
        credentials = [
            *credentials_of(headers),
            (b"content-type", b"application/json"),
        ]
        try:
            while self.is_held(sandbox_id):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.ending.wait(), self.lease_s / BEATS)
                if self.ending.is_set() or not self.is_held(sandbox_id):
                    return
                with contextlib.suppress(httpx.HTTPError):  # the next beat may get through
                    await self._prolong(sandbox_id, credentials)
        finally:
            self._ends.pop(sandbox_id, None)

    async def _prolong(self, sandbox_id: str, headers: Headers) -> None:
        left_s = math.ceil((self._ends[sandbox_id] - self.clock.now()).total_seconds())
        if left_s <= 0 or self.lease_s is None:
            return  # the service ends it on its own, or the client asks for more
        body = json.dumps({"timeout": min(left_s, self.lease_s)}).encode()
        target = f"/sandboxes/{sandbox_id}/timeout"
        response = await self.upstream.send("POST", target, headers, body)
        await response.aclose()

    def _is_longer(self, asked: object) -> TypeGuard[int]:
        if self.lease_s is None or not isinstance(asked, int) or isinstance(asked, bool):
            return False
        return self.lease_s < asked <= MAX_LIFE_S


def _pauses(fields: dict[str, Any]) -> bool:
    return bool(fields.get("autoPause"))


def _object(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
