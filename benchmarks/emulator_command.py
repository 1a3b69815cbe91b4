"""What does a command cost over the same shell spawned bare in bubblewrap?

python benchmarks/emulator_command.py
"""

from __future__ import annotations

import subprocess

from e2b import Sandbox
from measuring import Row, attached, bare_bubblewrap, median, milliseconds, quantile, show

TIMES = 100

bare = bare_bubblewrap("/bin/bash", "-l", "-c", "true")
quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
run_ms: list[float] = []
bare_ms: list[float] = []
with attached(), Sandbox.create(timeout=300) as sandbox:
    sandbox.commands.run("true")
    for _ in range(TIMES):  # in turn, so that both meet the same weather
        run_ms += milliseconds(lambda: sandbox.commands.run("true"), times=1)
        bare_ms += milliseconds(lambda: subprocess.run(bare, check=True, **quiet), times=1)
over_ms = median(run_ms) - median(bare_ms)
show(
    "command",
    [
        Row(
            figure=f'commands.run("true") over bare bubblewrap, {name}',
            measured=f"{over:+.1f} ms",
            aim=aim,
            baseline=f"{there:.1f} ms",
            ratio=f"{here / there:.2f}",
        )
        for name, here, there, over, aim in (
            ("p50", median(run_ms), median(bare_ms), over_ms, "at most +5 ms"),
            (
                "p95",
                quantile(run_ms, 0.95),
                quantile(bare_ms, 0.95),
                quantile(run_ms, 0.95) - quantile(bare_ms, 0.95),
                "",
            ),
        )
    ],
)
