"""What do 200 idle sandboxes cost, and does a thousand create/kill cycles leave anything?

    python benchmarks/emulator_many.py [--idle 200] [--cycles 1000]

Memory is the proportional share (PSS) of the emulator and of all processes below it, less
what they had before; the baseline is as many bare Pythons. What is left is looked for after
the cycles: processes, mount namespaces, mounts, file descriptors, and files in the emulator's
folder. That the look sees something is shown by sandboxes that are left there on purpose.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from e2b import Sandbox
from measuring import Row, attached, family, show

WATCH_S = 10.0
CALM_S = 12.0  # each is measured once or twice after its last request, and then let sleep
THREADS = 8
PLANTED = 3
BARE = 20


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
    """What could be left behind, counted: by the emulator, its launcher, and all below."""
    pids = family(pid)
    folders = Path(f"/tmp/e2b-harness-{os.getuid()}")  # noqa: S108 - where the emulator keeps its own
    return {
        "processes": len(pids),
        "mount namespaces": len(set(filter(None, map(mount_namespace, pids)))),
        "mounts": len(Path(f"/proc/{pid}/mountinfo").read_text().splitlines()),
        "file descriptors": sum(descriptors(one, kept_by_clients()) for one in pids),
        "files": sum(len(files) for _, _, files in os.walk(own_folder(pid, folders))),
    }


def mount_namespace(pid: int) -> str:
    with contextlib.suppress(OSError):  # gone meanwhile
        return str(Path(f"/proc/{pid}/ns/mnt").readlink())
    return ""


def kept_by_clients() -> set[str]:
    """The server's ends of connections: how many the SDK keeps open is its own affair."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    rows = [line.split() for line in lines]
    return {f"socket:[{row[9]}]" for row in rows if row[3] == "01"}


def descriptors(pid: int, but: set[str]) -> int:
    count = 0
    with contextlib.suppress(OSError):  # gone meanwhile
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                count += str(link.readlink()) not in but
    return count


def own_folder(pid: int, base: Path) -> Path:
    """The folder whose lock the process holds open."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        target = link.readlink()
        if target.is_relative_to(base):
            return target.parent
    return base


def bare_python_mib() -> float:
    """What one of many idle Pythons takes."""
    quiet = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    code = "print(flush=True); input()"
    idle = [subprocess.Popen([sys.executable, "-ISc", code], **quiet) for _ in range(BARE)]
    for process in idle:
        process.stdout.readline()
    taken = pss_mib({process.pid for process in idle})
    for process in idle:
        process.communicate(b"\n")
    return taken / BARE


words = argparse.ArgumentParser()
words.add_argument("--idle", type=int, default=200)
words.add_argument("--cycles", type=int, default=1000)
options = words.parse_args()


def cycle(number: int) -> None:
    del number
    Sandbox.create(timeout=60).kill()


def settled(pid: int) -> dict[str, int]:
    """The state once it stays: the pool fills up after the last create."""
    seen = state(pid)
    for _ in range(40):
        time.sleep(0.5)
        before, seen = seen, state(pid)
        if before == seen:
            return seen
    return seen


with attached() as emulator, ThreadPoolExecutor(THREADS) as threads:
    Sandbox.create().kill()
    settled(emulator.pid)
    before = pss_mib(family(emulator.pid))
    made = list(threads.map(lambda _: Sandbox.create(timeout=3600), range(options.idle)))
    settled(emulator.pid)
    time.sleep(CALM_S)
    pids = family(emulator.pid)
    each = (pss_mib(pids) - before) / options.idle
    busy = cpu_s(pids)
    time.sleep(WATCH_S)
    busy = (cpu_s(pids) - busy) / WATCH_S
    list(threads.map(lambda sandbox: sandbox.kill(), made))
    emulator.reset()
    at_rest = settled(emulator.pid)
    started = time.perf_counter()
    list(threads.map(cycle, range(options.cycles)))
    per_s = options.cycles / (time.perf_counter() - started)
    emulator.reset()
    after = settled(emulator.pid)
    forgotten = [Sandbox.create(timeout=3600) for _ in range(PLANTED)]
    planted = settled(emulator.pid)
bare = bare_python_mib()
show(
    f"{options.idle} idle sandboxes, {options.cycles} cycles",
    [
        Row(
            "memory of each idle sandbox",
            f"{each:.1f} MiB",
            "12 MiB",
            f"{bare:.1f} MiB, a bare Python",
            f"{each / bare:.1f}",
        ),
        Row(f"processor of all {options.idle}, idle", f"{busy:.1%} of a core", "0 %"),
        Row("create and kill", f"{per_s:.0f} a second"),
        *(
            Row(
                f"left after {options.cycles} cycles: {name}",
                f"{after[name] - at_rest[name]:+d}",
                "0",
                f"{planted[name] - after[name]:+d}, {len(forgotten)} left on purpose",
            )
            for name in at_rest
        ),
    ],
)
