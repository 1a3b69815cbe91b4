"""What do 200 idle sandboxes cost, and does a thousand create/kill cycles leave anything?

    python benchmarks/emulator_many.py [--idle 200] [--cycles 1000]

Memory is the proportional share (PSS) of the emulator and of all processes below it,
less what they had before. What is left is looked for after the cycles: processes,
mounts, file descriptors, and files in the emulator's folder.
"""

from __future__ import annotations

import argparse
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from e2b import Sandbox
from measuring import attached, show

WATCH_S = 5.0
THREADS = 8


def family(pid: int) -> set[int]:
    """The process and all below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, ahead = set(), [pid]
    while ahead:
        found.add(one := ahead.pop())
        ahead += children.get(one, [])
    return found


def pss_mib(pids: set[int]) -> float:
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in text.splitlines() if line[:4] == "Pss:")
    return total / 1024


def cpu_s(pids: set[int]) -> float:
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def state(pid: int) -> dict[str, int]:
    """What could be left behind, counted."""
    folders = Path(f"/tmp/e2b-harness-{os.getuid()}")  # noqa: S108 - where the emulator keeps its own
    return {
        "processes": len(family(pid)),
        "mounts": len(Path(f"/proc/{pid}/mountinfo").read_text().splitlines()),
        "file descriptors": len(list(Path(f"/proc/{pid}/fd").iterdir())),
        "files": sum(len(files) for _, _, files in os.walk(own_folder(pid, folders))),
    }


def own_folder(pid: int, base: Path) -> Path:
    """The folder whose lock the process holds open."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        target = link.readlink()
        if target.is_relative_to(base):
            return target.parent
    return base


words = argparse.ArgumentParser()
words.add_argument("--idle", type=int, default=200)
words.add_argument("--cycles", type=int, default=1000)
options = words.parse_args()


def cycle(number: int) -> None:
    del number
    Sandbox.create(timeout=60).kill()


with attached() as emulator, ThreadPoolExecutor(THREADS) as threads:
    Sandbox.create().kill()
    time.sleep(1)
    before = pss_mib(family(emulator.pid))
    made = list(threads.map(lambda _: Sandbox.create(timeout=3600), range(options.idle)))
    time.sleep(1)
    pids = family(emulator.pid)
    each = (pss_mib(pids) - before) / options.idle
    busy = cpu_s(pids)
    time.sleep(WATCH_S)
    busy = (cpu_s(pids) - busy) / WATCH_S
    list(threads.map(lambda sandbox: sandbox.kill(), made))
    emulator.reset()
    time.sleep(2)
    at_rest = state(emulator.pid)
    started = time.perf_counter()
    list(threads.map(cycle, range(options.cycles)))
    per_s = options.cycles / (time.perf_counter() - started)
    emulator.reset()
    time.sleep(2)
    left = {name: count - at_rest[name] for name, count in state(emulator.pid).items()}
show(
    f"{options.idle} idle sandboxes, {options.cycles} cycles",
    [
        ("memory of each", f"{each:.1f} MiB", "12 MiB"),
        ("processor of all, idle", f"{busy:.1%} of a core", "0 %"),
        ("create and kill", f"{per_s:.0f} a second", ""),
        *((f"left: {name}", f"{count:+d}", "0") for name, count in left.items()),
    ],
)
