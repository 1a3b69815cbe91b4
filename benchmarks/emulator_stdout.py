"""How fast does a command's output come through callbacks, whole and with flat memory?

    python benchmarks/emulator_stdout.py

The baseline is the same pipeline read from a pipe of this process.
"""

from __future__ import annotations

import subprocess
import time

from e2b import Sandbox
from measuring import attached, resident_mib, show

SIZE_MIB = 100
COMMAND = f"yes | head -c {SIZE_MIB << 20}"

with attached() as emulator, Sandbox.create(timeout=600) as sandbox:
    sandbox.commands.run("true")
    before = resident_mib(emulator.pid)
    seen = 0

    def count(text: str) -> None:
        global seen  # noqa: PLW0603 - the callback has no other place
        seen += len(text)

    started = time.perf_counter()
    sandbox.commands.run(COMMAND, on_stdout=count, timeout=300)
    through_sdk = SIZE_MIB / (time.perf_counter() - started)
    grown = resident_mib(emulator.pid) - before
started = time.perf_counter()
local = subprocess.run(["/bin/bash", "-c", COMMAND], check=True, capture_output=True)
through_pipe = SIZE_MIB / (time.perf_counter() - started)
show(
    f"standard output of {SIZE_MIB} MiB",
    [
        ("commands.run with a callback", f"{through_sdk:.0f} MiB/s", "50 MiB/s"),
        ("the same through a pipe", f"{through_pipe:.0f} MiB/s", ""),
        ("ratio", f"{through_sdk / through_pipe:.1%}", ""),
        ("lost", f"{len(local.stdout) - seen} bytes", "0"),
        ("server's memory grew by", f"{grown:.0f} MiB", "flat"),
    ],
)
