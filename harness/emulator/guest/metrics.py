"""What the sandbox's processes use, read from its own /proc.

Differs: E2B's machine has a kernel of its own, so its figures include page cache; here
memory and processor time are those of the sandbox's processes, totals are the host's.
Source: e2b-dev/infra packages/envd/internal/host/metrics.go
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False  # typing's own costs every start of an agent its import
if TYPE_CHECKING:
    from .frames import Json

__all__ = ["Meter", "descendants"]

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Meter:
    """Measures since its last answer, at first since the start.

    Args:
        everyone: whether /proc shows only this sandbox; else only our own descendants count.
    """

    def __init__(self, *, everyone: bool) -> None:
        self._everyone = everyone
        self._then = time.monotonic()
        self._used_then = 0.0

    def read(self, disk: str) -> Json:
        """The figures of PROTOCOL.md; `disk` is a path on the disk to measure."""
        used_s, memory = self._processes()
        now = time.monotonic()
        processors = len(os.sched_getaffinity(0))
        elapsed_s = max(now - self._then, 0.001)
        share = (used_s - self._used_then) / elapsed_s / processors
        self._then, self._used_then = now, used_s
        space = os.statvfs(disk)
        return {
            "cpu_count": processors,
            "cpu_used_pct": round(min(max(share, 0.0), 1.0) * 100, 2),
            "mem_total": _memory_total(),
            "mem_used": memory,
            "mem_cache": 0,
            "disk_total": space.f_blocks * space.f_frsize,
            "disk_used": (space.f_blocks - space.f_bavail) * space.f_frsize,
        }

    def _processes(self) -> tuple[float, int]:
        ticks, memory = 0, 0
        pids = [name for name in os.listdir("/proc") if name.isdigit()]
        if not self._everyone:
            pids = descendants(os.getpid())
        for pid in pids:
            try:
                fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
                resident, shared = _read(f"/proc/{pid}/statm").split()[1:3]
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            ticks += sum(int(field) for field in fields[11:15])  # own and reaped children's
            memory += (int(resident) - int(shared)) * _PAGE
        return ticks / _TICKS, memory


def descendants(pid: int) -> list[str]:
    """The pids of a process and of everything below it."""
    found, todo = [], [str(pid)]
    while todo:
        parent = todo.pop()
        found.append(parent)
        try:
            for task in os.listdir(f"/proc/{parent}/task"):
                todo += _read(f"/proc/{parent}/task/{task}/children").split()
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def _memory_total() -> int:
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0


def _read(path: str) -> str:
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read()
