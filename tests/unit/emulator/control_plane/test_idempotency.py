"""Creates that are sent again."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from harness.emulator.answers import ApiError
from harness.emulator.control_plane.idempotency import IdempotentCreates
from harness.emulator.life import SandboxLife


class Creator:
    """Counts creates; the first `failures` of them fail."""

    def __init__(self, failures: int = 0) -> None:
        self.calls = 0
        self._failures = failures

    async def __call__(self) -> SandboxLife:
        self.calls += 1
        await asyncio.sleep(0)
        if self.calls <= self._failures:
            raise ApiError(503, "full")
        return cast("SandboxLife", object())


def test_same_key_is_one_create_even_at_the_same_time() -> None:
    """A retry that overtakes the first request waits for it."""

    async def run() -> None:
        creates, create = IdempotentCreates(), Creator()
        lives = await asyncio.gather(*(creates.once("k", create) for _ in range(5)))
        assert create.calls == 1
        assert len({id(life) for life in lives}) == 1
        await creates.once("other", create)
        await creates.once(None, create)
        await creates.once(None, create)
        assert create.calls == 4

    asyncio.run(run())


def test_failed_create_is_forgotten_and_its_waiters_are_told() -> None:
    """The next attempt may succeed."""

    async def run() -> None:
        creates, create = IdempotentCreates(), Creator(failures=1)
        results = await asyncio.gather(
            creates.once("k", create), creates.once("k", create), return_exceptions=True
        )
        assert [str(result) for result in results] == ["full", "full"]
        await creates.once("k", create)
        assert create.calls == 2

    asyncio.run(run())


@pytest.mark.parametrize("key", ["", "UPPER", "a b", "x" * 256])
def test_malformed_key_is_refused(key: str) -> None:
    """The form that the SDK checks too."""
    with pytest.raises(ApiError, match="Idempotency-Key"):
        asyncio.run(IdempotentCreates().once(key, Creator()))
