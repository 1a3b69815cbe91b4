"""What sandboxes used, over time: measured while they are busy, every five seconds as in E2B.

A sandbox that used no processor time and was asked for nothing is let sleep; what it used
until it is measured next is then known as a whole, and told as an average.

Source: e2b-dev/infra packages/orchestrator/pkg/metrics/sandboxes.go (each 5 s);
packages/clickhouse/pkg/sandbox.go (the greatest of each step).

Differs: of a sandbox that nobody asks for anything and that uses no processor time, the
memory and disk between two measurements are those of the earlier one.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left, bisect_right
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from harness.emulator.isolation import GuestError, SandboxGoneError
from harness.emulator.life import SandboxLife
from harness.emulator.service_clock import ServiceClock
from harness.emulator.time_steps import step_of, steps

__all__ = ["Figures", "Sample", "Usage"]

PERIOD_S = 5.0
MAX_SAMPLES = 4_320  # of one sandbox: six hours of them
MAX_SANDBOXES = 1_000
_BUSY_PCT = 0.5  # more than the measuring itself takes
_LOG = logging.getLogger("harness.emulator")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the processes of one sandbox use.

    Attributes:
        cpu_count: processors that it sees.
        cpu_used_pct: of all of them, since the sample before.
        mem_used: bytes.
        mem_total: bytes.
        mem_cache: bytes.
        disk_used: bytes.
        disk_total: bytes.
    """

    cpu_count: int
    cpu_used_pct: float
    mem_used: int
    mem_total: int
    mem_cache: int
    disk_used: int
    disk_total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A measurement.

    Attributes:
        time: when, by the service's clock.
        usage: what was measured.
    """

    time: datetime
    usage: Usage


class Figures:
    """Measures sandboxes and keeps what it measured, of those that ended, too.

    Args:
        clock: the service's clock.
        alive: the sandboxes that there are.
    """

    def __init__(self, clock: ServiceClock, alive: Callable[[], Sequence[SandboxLife]]) -> None:
        self._clock = clock
        self._alive = alive
        self._samples: OrderedDict[str, deque[Sample]] = OrderedDict()
        self._seen: dict[str, int] = {}

    async def run(self) -> None:
        """Measures who is busy, every five seconds; runs until cancelled."""
        while True:
            await asyncio.sleep(PERIOD_S)
            for life in self._alive():
                if life.running and self._is_awake(life):
                    await self._measure_quietly(life)

    async def measure(self, life: SandboxLife) -> Sample:
        """Measures one sandbox now.

        Raises:
            SandboxGoneError: it died.
            GuestError: its figures could not be read.
        """
        self._seen[life.sandbox_id] = life.requests
        figures = await life.guest.call("metrics")
        usage = Usage(**{name: figures[name] for name in Usage.__slots__})
        sample = Sample(time=self._clock.now(), usage=usage)
        self._of(life.sandbox_id).append(sample)
        return sample

    def last(self, sandbox_id: str) -> Sample | None:
        """The newest measurement of a sandbox; None where there is none."""
        samples = self._samples.get(sandbox_id)
        return samples[-1] if samples else None

    def between(
        self, sandbox_id: str, start: datetime | None, end: datetime | None
    ) -> list[Sample]:
        """One point for each step from `start` to `end`; empty where nothing was measured."""
        samples = [*self._samples.get(sandbox_id, ())]
        if not samples:
            return []
        times = [sample.time for sample in samples]
        start, end = start or times[0], end or times[-1]
        step = step_of(start, end)
        points = []
        for at in steps(max(start, times[0]), min(end, times[-1]), step):
            begin = bisect_left(times, max(at, start))
            until = min(bisect_left(times, at + step), bisect_right(times, end))
            if begin < until:
                points.append(Sample(time=at, usage=_greatest(samples[begin:until])))
            elif max(start, times[0]) < at < times[-1]:
                points.append(Sample(time=at, usage=_between(samples[begin - 1], samples[begin])))
        return points

    def clear(self) -> None:
        """Forgets every measurement."""
        self._samples.clear()
        self._seen.clear()

    def _is_awake(self, life: SandboxLife) -> bool:
        last = self.last(life.sandbox_id)
        return (
            last is None
            or bool(life.exchanges)
            or self._seen.get(life.sandbox_id) != life.requests
            or last.usage.cpu_used_pct > _BUSY_PCT
        )

    async def _measure_quietly(self, life: SandboxLife) -> None:
        try:
            async with asyncio.timeout(PERIOD_S):
                await self.measure(life)
        except (SandboxGoneError, GuestError, TimeoutError) as error:
            _LOG.debug("sandbox %s was not measured: %s", life.sandbox_id, error)

    def _of(self, sandbox_id: str) -> deque[Sample]:
        samples = self._samples.get(sandbox_id)
        if samples is None:
            samples = self._samples[sandbox_id] = deque(maxlen=MAX_SAMPLES)
            if len(self._samples) > MAX_SANDBOXES:
                dropped, _ = self._samples.popitem(last=False)
                self._seen.pop(dropped, None)
        return samples


def _greatest(samples: Sequence[Sample]) -> Usage:
    usages = [sample.usage for sample in samples]
    return Usage(**{name: max(getattr(one, name) for one in usages) for name in Usage.__slots__})


def _between(before: Sample, after: Sample) -> Usage:
    """What was used between two measurements: processor time as it was averaged over them."""
    return replace(before.usage, cpu_used_pct=after.usage.cpu_used_pct)
