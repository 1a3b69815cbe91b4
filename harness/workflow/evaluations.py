"""Runs drawn pipelines side by side, once on each side, and keeps what each has shown."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from harness.model.difference import Difference
from harness.parity import CaseRun
from harness.parity.shrinking import fault_of
from harness.ports import Sketch
from harness.workflow.parity_runs import CaseRunner

__all__ = ["Evaluations", "Shown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What one pipeline has shown.

    Attributes:
        faults: its differences that follow from no other, by what tells them apart.
        broken: why it says nothing; None where it does.
    """

    faults: Mapping[str, Difference] = field(default_factory=dict)
    broken: str | None = None


class Evaluations:
    """The runs of one exploration; a context manager that leaves nothing running.

    Each pipeline runs once, however often it is asked about. Its run folder is removed
    when it has been compared.

    Args:
        runner: runs a case on both sides, once each.
        jobs: how many pipelines run side by side.
    """

    def __init__(self, runner: CaseRunner, *, jobs: int) -> None:
        self.jobs = jobs
        self._runner = runner
        self._pool = ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="sketch")
        self._begun: dict[Sketch, Future[Shown]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        if error is not None:
            self._runner.abort()
        self._pool.shutdown()

    @property
    def runs(self) -> int:
        """How many pipelines were run, or are about to be."""
        return len(self._begun)

    def __contains__(self, sketch: Sketch) -> bool:
        """Whether it costs nothing to ask about the pipeline."""
        return sketch in self._begun

    def begin(self, sketches: Iterable[Sketch]) -> None:
        """Has the pipelines run, in this order, and does not wait for them."""
        for sketch in sketches:
            if sketch not in self._begun:
                name = f"try-{len(self._begun) + 1:05}"
                self._begun[sketch] = self._pool.submit(self._run, sketch, name)

    def shown(self, sketches: Sequence[Sketch]) -> Iterator[Shown]:
        """What each pipeline shows, in their order, as soon as it is known.

        Raises:
            BrokenError: if the disk takes no more.
        """
        self.begin(sketches)
        for sketch in sketches:
            yield self._begun[sketch].result()

    def smallest(self, fault: str) -> Sketch:
        """The smallest of the pipelines that were seen to show the fault; there must be one."""
        showing = (
            sketch
            for sketch, future in self._begun.items()
            if future.done() and not future.cancelled() and fault in future.result().faults
        )
        return min(showing, key=lambda sketch: sketch.weight)

    def _run(self, sketch: Sketch, name: str) -> Shown:
        case = sketch.case(name, purpose="drawn at random")
        try:
            run: CaseRun = self._runner.run(case)
        finally:
            shutil.rmtree(self._runner.folder / name, ignore_errors=True)
            shutil.rmtree(self._runner.mirror / name, ignore_errors=True)
        faults: dict[str, Difference] = {}
        for item in run.comparison.differences:
            if item.explained_by is None:
                faults.setdefault(fault_of(item, [*case.outputs, *case.files]), item)
        return Shown(faults=faults, broken=run.comparison.broken)
