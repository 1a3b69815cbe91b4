"""How long does it take to create a sandbox: from the pool, cold, fifty at once?

    python benchmarks/emulator_create.py

Through the real SDK. The baseline is bubblewrap alone running `true`, in the same run.
"""

from __future__ import annotations

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from e2b import Sandbox
from measuring import attached, bare_bubblewrap, median, milliseconds, quantile, show

TIMES = 30
PARALLEL = 50
POOL = "8"


def create() -> None:
    made.append(Sandbox.create(timeout=300))


def from_the_pool() -> None:
    create()


made: list[Sandbox] = []
pooled_ms: list[float] = []
with attached("--pool", POOL):
    Sandbox.create().kill()
    for _ in range(TIMES):
        time.sleep(0.2)  # the pool fills up again: its filling is not what is asked
        pooled_ms += milliseconds(from_the_pool, times=1)
        made.pop().kill()
    with ThreadPoolExecutor(PARALLEL) as threads:
        jobs = [threads.submit(milliseconds, create, times=1) for _ in range(PARALLEL)]
        parallel_ms = [job.result()[0] for job in jobs]
    while made:
        made.pop().kill()
with attached("--pool", "0"):
    Sandbox.create().kill()
    cold_ms = milliseconds(create, times=TIMES)
    while made:
        made.pop().kill()
bare = bare_bubblewrap("/bin/true")
bare_ms = milliseconds(lambda: subprocess.run(bare, check=True), times=TIMES)
show(
    "create",
    [
        ("from the pool, p50", f"{median(pooled_ms):.1f} ms", "10 ms"),
        ("cold, p50", f"{median(cold_ms):.1f} ms", "80 ms"),
        (f"{PARALLEL} at once, p99", f"{quantile(parallel_ms, 0.99):.0f} ms", "500 ms"),
        ("bubblewrap alone running true, p50", f"{median(bare_ms):.1f} ms", ""),
        ("ratio cold : bubblewrap alone", f"{median(cold_ms) / median(bare_ms):.1f}", ""),
    ],
)
