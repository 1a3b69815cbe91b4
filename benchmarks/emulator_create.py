"""How long does it take to create a sandbox: from the pool, cold, fifty at once?

    python benchmarks/emulator_create.py [--pool 8]

Through the real SDK. The baseline is bubblewrap alone running `true`, in the same run: one
after the other for what is created so, and as many at once for what is created at once.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from e2b import Sandbox
from measuring import Row, attached, bare_bubblewrap, median, milliseconds, quantile, show

TIMES = 30
PARALLEL = 50
BURSTS = 3

words = argparse.ArgumentParser()
words.add_argument("--pool", type=int, default=8)
options = words.parse_args()


def create() -> None:
    made.append(Sandbox.create(timeout=300))


def end_all() -> None:
    while made:
        made.pop().kill()


def at_once(work: Callable[[], object]) -> list[float]:
    with ThreadPoolExecutor(PARALLEL) as threads:
        jobs = [threads.submit(milliseconds, work, times=1) for _ in range(PARALLEL)]
        return [job.result()[0] for job in jobs]


bare = bare_bubblewrap("/bin/true")


def run_bare() -> None:
    subprocess.run(bare, check=True)


made: list[Sandbox] = []
pooled_ms: list[float] = []
bursts_ms: list[float] = []
with attached("--pool", str(options.pool)):
    Sandbox.create().kill()
    for _ in range(TIMES):
        time.sleep(0.2)  # the pool fills up again: its filling is not what is asked
        pooled_ms += milliseconds(create, times=1)
        end_all()
    for _ in range(BURSTS):
        time.sleep(3)  # as above
        bursts_ms.append(quantile(at_once(create), 0.99))
        end_all()
with attached("--pool", "0"):
    Sandbox.create().kill()
    cold_ms = milliseconds(create, times=TIMES)
    end_all()
bare_ms = milliseconds(run_bare, times=TIMES)
bare_bursts_ms = [quantile(at_once(run_bare), 0.99) for _ in range(BURSTS)]
show(
    f"create, with {options.pool} sandboxes waiting",
    [
        Row(
            figure=figure,
            measured=f"{here:.1f} ms",
            aim=aim,
            baseline=f"{there:.1f} ms",
            ratio=f"{here / there:.1f}",
        )
        for figure, here, aim, there in (
            ("from the pool, p50", median(pooled_ms), "10 ms", median(bare_ms)),
            ("cold, p50", median(cold_ms), "80 ms", median(bare_ms)),
            (
                f"{PARALLEL} at once, p99, worst of {BURSTS}",
                max(bursts_ms),
                "500 ms",
                max(bare_bursts_ms),
            ),
        )
    ],
)
