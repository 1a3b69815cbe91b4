"""What does a command cost over the same shell spawned bare in bubblewrap?

python benchmarks/emulator_command.py
"""

from __future__ import annotations

import subprocess

from e2b import Sandbox
from measuring import attached, bare_bubblewrap, median, milliseconds, quantile, show

TIMES = 60

with attached(), Sandbox.create(timeout=300) as sandbox:
    sandbox.commands.run("true")
    run_ms = milliseconds(lambda: sandbox.commands.run("true"), times=TIMES)
bare = bare_bubblewrap("/bin/bash", "-l", "-c", "true")
quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
bare_ms = milliseconds(lambda: subprocess.run(bare, check=True, **quiet), times=TIMES)
show(
    "command",
    [
        ('commands.run("true"), p50', f"{median(run_ms):.1f} ms", ""),
        ('commands.run("true"), p95', f"{quantile(run_ms, 0.95):.1f} ms", ""),
        ("the same shell bare in bubblewrap, p50", f"{median(bare_ms):.1f} ms", ""),
        ("over it", f"{median(run_ms) - median(bare_ms):+.1f} ms", "at most +5 ms"),
    ],
)
