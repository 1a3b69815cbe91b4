"""How soon does `harness emulator serve` say that it is ready?

    python benchmarks/emulator_ready.py

The baseline is a Python that imports the same web server and answers nothing.
"""

from __future__ import annotations

import subprocess
import sys

from measuring import median, milliseconds, show

from harness.emulator.attach import Emulator

TIMES = 9


def start_once() -> None:
    emulator = Emulator()
    emulator.start()
    stops.append(emulator)


stops: list[Emulator] = []
ready_ms: list[float] = []
for _ in range(TIMES):
    ready_ms += milliseconds(start_once, times=1)
    stops.pop().stop()
imports = [sys.executable, "-c", "import starlette.applications, uvicorn"]
bare_ms = milliseconds(lambda: subprocess.run(imports, check=True), times=TIMES)
show(
    "ready",
    [
        ("serve, until its line of JSON, p50", f"{median(ready_ms):.0f} ms", "400 ms"),
        ("Python with the web server imported, p50", f"{median(bare_ms):.0f} ms", ""),
        ("ratio", f"{median(ready_ms) / median(bare_ms):.1f}", ""),
    ],
)
