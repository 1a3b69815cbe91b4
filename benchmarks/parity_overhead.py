"""What the harness adds to a case: its time beside that of the product's runs.

`python benchmarks/parity_overhead.py` runs `--times` (5) times one case of Osiris on the
emulator as `harness parity run` does (here twice, in a sandbox once), and takes the time that
the product was prepared, run and collected from the whole. Gathering, redacting, normalising,
comparing and writing down are what is left.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring import median, quantile, show

from harness.clock import SystemClock
from harness.model.side import Endpoint, Side
from harness.ports import ExecutionAdapter
from harness.redaction.redact import Redactor
from harness.settings import Settings
from harness.targets.osiris import OsirisTarget
from harness.workflow.parity_endpoint import FarEnd, far_end
from harness.workflow.parity_runs import CaseRunner


def now() -> tuple[float, float]:
    """Wall and CPU time of this process."""
    return time.perf_counter(), time.process_time()


def since(started: tuple[float, float]) -> tuple[float, float]:
    wall, cpu = now()
    return wall - started[0], cpu - started[1]


class Timed:
    """An adapter that notes how long it was used."""

    def __init__(self, adapter: ExecutionAdapter, notes: list[tuple[float, float]]) -> None:
        self._adapter = adapter
        self._notes = notes

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self._adapter, name)

        def timed(*words: Any) -> Any:
            started = now()
            try:
                return inner(*words)
            finally:
                self._notes.append(since(started))

        return timed


class TimedTarget(OsirisTarget):
    """Osiris, with adapters that note how long they were used."""

    notes: list[tuple[float, float]]

    def adapter(self, side: Side, endpoint: Endpoint | None = None) -> Any:
        return Timed(super().adapter(side, endpoint), self.notes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--case", default="types-nulls-unicode")
    asked = parser.parse_args()
    settings = Settings.load()
    target = TimedTarget(settings=settings)
    walls, cpus = [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        far_end(FarEnd.EMULATOR, target, settings) as endpoint,
    ):
        for number in range(asked.times):
            target.notes = []
            runner = CaseRunner(
                target=target,
                endpoint=endpoint,
                folder=Path(folder, str(number)),
                root=Path(folder),
                mirror=Path(folder, "mirror"),
                redactor=Redactor.of_process(root=settings.root, secrets=settings.secrets()),
                clock=SystemClock(),
            )
            started = now()
            done = runner.run(target.case(asked.case))
            wall, cpu = since(started)
            if done.comparison.broken is not None:
                raise RuntimeError(done.comparison.broken)
            walls.append(wall - sum(note[0] for note in target.notes))
            cpus.append(cpu - sum(note[1] for note in target.notes))
    show(
        f"what the harness adds to the case {asked.case}",
        [
            ("median", f"{median(walls):.2f} s", "at most 0.3 s"),
            ("worst", f"{quantile(walls, 1):.2f} s", ""),
            ("median of CPU time", f"{median(cpus):.2f} s", ""),
        ],
    )


if __name__ == "__main__":
    main()
