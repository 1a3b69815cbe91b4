"""How soon does `harness emulator serve` say that it is ready?

    python benchmarks/emulator_ready.py

The baseline is a Python that imports the same web server and answers nothing. Both have their
bytecode, as after an installation or a first start.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from measuring import Row, median, milliseconds, show

from harness.emulator.attach import Emulator

TIMES = 9


def start_once() -> None:
    emulator = Emulator()
    emulator.start()
    started.append(emulator)


def cpu_ms(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


# A container's PYTHONDONTWRITEBYTECODE would have each start compile everything again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
imports = [sys.executable, "-c", "import starlette.applications, uvicorn"]
started: list[Emulator] = []
ready_ms: list[float] = []
bare_ms: list[float] = []
cpus_ms: list[float] = []
for _ in range(2):  # writes the bytecode, and fills the caches
    with Emulator():
        subprocess.run(imports, check=True)
for _ in range(TIMES):  # in turn, so that both meet the same weather
    ready_ms += milliseconds(start_once, times=1)
    cpus_ms.append(cpu_ms(started[-1].pid))
    started.pop().stop()
    bare_ms += milliseconds(lambda: subprocess.run(imports, check=True), times=1)
show(
    "ready",
    [
        Row(
            figure="serve, until its line of JSON, p50",
            measured=f"{median(ready_ms):.0f} ms",
            aim="400 ms",
            baseline=f"{median(bare_ms):.0f} ms",
            ratio=f"{median(ready_ms) / median(bare_ms):.1f}",
        ),
        Row(figure="of it the emulator's own processor time", measured=f"{median(cpus_ms):.0f} ms"),
    ],
)
