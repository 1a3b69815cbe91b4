"""What a plan allows: how many sandboxes, how fast, how long.

Source: e2b.dev/docs/billing and the 429 answers of e2b-dev/infra
packages/api/internal/middleware/ratelimit/ratelimit.go (headers).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from harness.clock import Clock
from harness.emulator.api_error import ApiError

__all__ = ["CreationRate", "Plan", "PlanLimits"]

_HOUR_S = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanLimits:
    """The figures of one plan.

    Attributes:
        concurrency: running sandboxes at a time; None is no limit.
        creations_per_s: creations a second; None is no limit.
        longest_life_s: how long a sandbox may live.
    """

    concurrency: int | None
    creations_per_s: int | None
    longest_life_s: int

    @property
    def longest_life_hours(self) -> int:
        """The longest life as the API's messages name it."""
        return self.longest_life_s // _HOUR_S


class Plan(StrEnum):
    """A team's plan; NONE has no limit but E2B's longest life."""

    NONE = "none"
    HOBBY = "hobby"
    PRO = "pro"

    @property
    def limits(self) -> PlanLimits:
        """The figures of this plan."""
        return _LIMITS[self]


_LIMITS = {
    Plan.NONE: PlanLimits(concurrency=None, creations_per_s=None, longest_life_s=24 * _HOUR_S),
    Plan.HOBBY: PlanLimits(concurrency=20, creations_per_s=1, longest_life_s=_HOUR_S),
    Plan.PRO: PlanLimits(concurrency=100, creations_per_s=5, longest_life_s=24 * _HOUR_S),
}


class CreationRate:
    """Counts creations against a plan's rate, by the service's clock.

    Args:
        clock: the service's clock.
        limits: the plan's figures.
    """

    def __init__(self, clock: Clock, limits: PlanLimits) -> None:
        self._clock = clock
        self._per_s = limits.creations_per_s
        self._tokens = float(limits.creations_per_s or 0)
        self._counted_at_s = clock.monotonic_s()

    def take(self) -> None:
        """Counts one creation.

        Raises:
            ApiError: 429 with Retry-After in whole seconds, at least 1.
        """
        if self._per_s is None:
            return
        now_s = self._clock.monotonic_s()
        refilled = self._tokens + (now_s - self._counted_at_s) * self._per_s
        self._tokens = min(float(self._per_s), refilled)
        self._counted_at_s = now_s
        if self._tokens < 1:
            wait_s = max(1, math.ceil((1 - self._tokens) / self._per_s))
            raise ApiError(
                429,
                "Rate limit exceeded",
                headers={
                    "Retry-After": str(wait_s),
                    "RateLimit-Limit": str(self._per_s),
                    "RateLimit-Remaining": "0",
                    "RateLimit-Reset": str(wait_s),
                },
            )
        self._tokens -= 1
