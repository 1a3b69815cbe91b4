"""Answers a create request that is sent again with the sandbox of the first one.

Source: e2b 2.63.0 e2b/retry.py (form of the key). Differs: how long a key is
remembered is not published; here it is until reset.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

from harness.emulator.answers import ApiError
from harness.emulator.life import SandboxLife

__all__ = ["IdempotentCreates"]

_KEY = re.compile(r"[a-z0-9-]{1,255}")
MAX_KEYS = 10_000


class IdempotentCreates:
    """Remembers which key created which sandbox."""

    def __init__(self) -> None:
        self._creates: dict[str, asyncio.Future[SandboxLife]] = {}

    async def once(
        self, key: str | None, create: Callable[[], Awaitable[SandboxLife]]
    ) -> SandboxLife:
        """The sandbox of this key, created now where the key is new or absent.

        A create that fails is forgotten, so that a retry may succeed.

        Raises:
            ApiError: 400 for a malformed key, and whatever `create` raises.
        """
        if key is None:
            return await create()
        if not _KEY.fullmatch(key):
            raise ApiError(400, "Idempotency-Key must be 1-255 of lowercase letters, digits, '-'")
        known = self._creates.get(key)
        if known is not None:
            return await asyncio.shield(known)
        while len(self._creates) >= MAX_KEYS:
            del self._creates[next(iter(self._creates))]
        future: asyncio.Future[SandboxLife] = asyncio.get_running_loop().create_future()
        self._creates[key] = future
        try:
            life = await create()
        except BaseException as error:
            self._creates.pop(key, None)
            future.set_exception(error if isinstance(error, ApiError) else _interrupted())
            future.exception()  # retrieved, so that a create nobody repeats leaves no warning
            raise
        future.set_result(life)
        return life

    def clear(self) -> None:
        """Forgets every key."""
        self._creates.clear()


def _interrupted() -> ApiError:
    return ApiError(500, "Failed to create sandbox", error_code="sandbox_create_failed")
