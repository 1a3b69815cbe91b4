"""Which processes of this machine are at the other end of a loopback connection.

A pid is used again after a while, so a process is its pid together with its start.
Only Linux tells; elsewhere, and for processes of another user, the answer is unknown.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Process", "describe_process", "peers", "process_of"]

_START_FIELD = 19  # Source: proc_pid_stat(5), field 22, counted after the command's parenthesis
_PARENT_FIELD = 1
_INODE_FIELD = 9  # Source: linux Documentation/networking/proc_net_tcp.rst
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LOOKS = 4
_PAUSE_S = 0.02
_CHAIN = 4
_SHOWN_CHARS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process of this machine.

    Attributes:
        pid: its number.
        started: its start in the kernel's ticks since boot; empty where unknown.
    """

    pid: int
    started: str

    @property
    def alive(self) -> bool:
        """Whether it runs; a zombie does not, nor another process under its number."""
        return bool(self.started) and process_of(self.pid).started == self.started


def process_of(pid: int) -> Process:
    """The process that has the number now; without a start where none has, or a zombie."""
    fields = _stat(pid)
    if fields[:1] == ["Z"] or len(fields) <= _START_FIELD:
        return Process(pid=pid, started="")
    return Process(pid=pid, started=fields[_START_FIELD])


def peers(client_port: int, server_port: int) -> tuple[Process, ...] | None:
    """The processes that hold the client's end of a loopback connection.

    Several do where one has forked. Reads every process of this user: some
    milliseconds, so it is for a thread of its own.

    Args:
        client_port: the client's end, as the server sees it.
        server_port: the server's end.

    Returns:
        The processes; none where the client's end is closed; None where this
        machine does not say, or another user holds it.
    """
    for attempt in range(_LOOKS):
        if attempt:
            time.sleep(_PAUSE_S)
        inode = _inode(client_port, server_port)
        if not inode:
            return None if inode is None else ()
        wanted = f"socket:[{inode}]"
        holders = [process_of(int(name)) for name in _numbers() if _holds(name, wanted)]
        living = tuple(process for process in holders if process.started)
        if living:
            return living
        # A process that is just ending lets go of its files before they are closed.
    return None


def describe_process(pid: int) -> str:
    """The process's command line and those of its ancestors, the nearest first."""
    shown = []
    for _ in range(_CHAIN):
        command = _command(pid)
        if not command:
            break
        shown.append(f"{command} (pid {pid})")
        fields = _stat(pid)
        pid = int(fields[_PARENT_FIELD]) if len(fields) > _PARENT_FIELD else 0
    return ", started by ".join(shown)


def _inode(client_port: int, server_port: int) -> str | None:
    """The client's socket; empty where it is closed, None where no table can be read."""
    known = False
    for table in _TABLES:
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        known = True
        for line in lines:
            fields = line.split()
            here, there = (int(field.rpartition(":")[2], 16) for field in fields[1:3])
            if (here, there) == (client_port, server_port) and fields[_INODE_FIELD] != "0":
                return fields[_INODE_FIELD]
    return "" if known else None


def _numbers() -> list[str]:
    return [name for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208 - read on each create


def _holds(pid: str, wanted: str) -> bool:
    folder = f"/proc/{pid}/fd"
    with contextlib.suppress(OSError):  # gone meanwhile, or another user's
        for name in os.listdir(folder):  # noqa: PTH208 - read on each create
            with contextlib.suppress(OSError):
                if os.readlink(f"{folder}/{name}") == wanted:  # noqa: PTH115 - as above
                    return True
    return False


def _stat(pid: int) -> list[str]:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return []
    return stat.rpartition(")")[2].split()


def _command(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return ""
    text = " ".join(word for word in words if word)
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
