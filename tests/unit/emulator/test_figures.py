"""What sandboxes used, measured and told by steps."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, cast

from harness.clock import ManualClock
from harness.emulator.figures import Figures
from harness.emulator.life import SandboxLife
from harness.emulator.service_clock import ServiceClock

_ZERO = {"cpu_count": 2, "cpu_used_pct": 0.0, "mem_used": 1, "mem_total": 9, "mem_cache": 0}


class Measured:
    """A life whose guest says what the test wants."""

    sandbox_id = "i1"
    requests = 0

    def __init__(self) -> None:
        self.guest = self
        self.says: dict[str, Any] = {}

    async def call(self, operation: str) -> dict[str, Any]:
        """The figures."""
        assert operation == "metrics"
        return {**_ZERO, "disk_used": 0, "disk_total": 1, **self.says}


def test_points_are_the_greatest_of_their_step_and_fill_what_was_slept() -> None:
    """Between two measurements memory is that of the earlier, time an average."""
    clock, life = ServiceClock(ManualClock()), Measured()
    figures = Figures(clock, list)
    start = clock.now()

    def measure(wait_s: float, **says: Any) -> None:
        clock.advance(wait_s)
        life.says = says
        asyncio.run(_measured(figures, life))

    measure(0, mem_used=10)
    measure(1, mem_used=30)
    measure(1, mem_used=20)
    measure(20, mem_used=50, cpu_used_pct=40.0)
    points = figures.between("i1", None, None)
    assert [point.usage.mem_used for point in points] == [30, 20, 20, 20, 50]
    assert [point.usage.cpu_used_pct for point in points] == [0.0, 40.0, 40.0, 40.0, 40.0]
    assert figures.between("i1", clock.now() + timedelta(seconds=1), None) == []
    assert figures.between("i1", None, start - timedelta(seconds=1)) == []
    assert figures.between("unknown", None, None) == []


async def _measured(figures: Figures, life: Measured) -> None:
    await figures.measure(cast("SandboxLife", life))
