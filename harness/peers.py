"""Which processes of this machine are at the other end of a loopback connection.

A pid is used again after a while, so a process is its pid together with its start.
Only Linux tells; elsewhere, and for processes of another user, the answer is unknown.
Whoever was met once is asked first, because looking into every process costs milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Peers", "Process", "describe_process", "process_of", "socket_of"]

_START_FIELD = 19  # Source: proc_pid_stat(5), field 22, counted after the command's parenthesis
_PARENT_FIELD = 1
_INODE_FIELD = 9  # Source: linux Documentation/networking/proc_net_tcp.rst
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LOOKS = 4
_PAUSE_S = 0.02
_CHAIN = 4
_SHOWN_CHARS = 100
_MET_AT_MOST = 64

# Source: linux include/uapi/linux/sock_diag.h, inet_diag.h, netlink.h
_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST = 4, 20, 1
_ANY_STATE = 0xFFFFFFFF
_MESSAGE = struct.Struct("=IHHII")
_ENDS = struct.Struct("!HH16s16s")
_QUESTION = struct.Struct("=BBBxI36sIII")
_ANSWER = struct.Struct("=BBBB36sIII16xI")
_LOOPBACK = socket.inet_aton("127.0.0.1")
_ANSWER_TIMEOUT_S = 1.0


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


class Peers:
    """Finds who holds the client's end of loopback connections; any thread may ask.

    Remembers the processes that it found. One that holds a connection is found again with
    a few system calls, and so are those that were forked from it with the connection open;
    `holders_of` looks into every process.
    """

    def __init__(self) -> None:
        self._met: dict[int, str] = {}  # a pid, and the descriptor that it was found by
        self._lock = threading.Lock()

    def find(self, client_port: int, server_port: int) -> tuple[Process, ...] | None:
        """The processes that hold the client's end of a loopback connection.

        Several do where one has forked. The first look at a process takes some
        milliseconds, so this is for a thread of its own.

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
            inode = socket_of(client_port, server_port)
            if not inode:
                return None if inode is None else ()
            living = self._again(inode) or self.holders_of(inode)
            if living:
                return living
            # A process that is just ending lets go of its files before they are closed.
        return None

    def holders_of(self, inode: str) -> tuple[Process, ...]:
        """Every living process that holds a socket, of those that this user may look into."""
        return self._meet(_holding(_numbers(), inode))

    def _again(self, inode: str) -> tuple[Process, ...]:
        """Those among the known, and their children, that hold a socket."""
        with self._lock:
            met = list(reversed(self._met.items()))
        found = {pid: name for pid, name in met if _is_socket(pid, name, inode)}
        found = found or next(filter(None, (_holding([pid], inode) for pid, _ in met)), {})
        ahead = [*found]
        while ahead:  # who inherited it, up and down, as far as it is held
            pid = ahead.pop()
            relatives = {_parent(pid), *_children(pid)} - found.keys()
            further = _holding(relatives, inode)
            found |= further
            ahead += further
        return self._meet(found)

    def _meet(self, found: dict[int, str]) -> tuple[Process, ...]:
        living = [process for process in map(process_of, sorted(found)) if process.started]
        with self._lock:
            for process in living:
                self._met.pop(process.pid, None)
                self._met[process.pid] = found[process.pid]
            for pid in list(self._met)[:-_MET_AT_MOST]:
                del self._met[pid]
        return tuple(living)


def socket_of(client_port: int, server_port: int) -> str | None:
    """The number of the client's socket; empty where it is closed, None where nothing tells."""
    return _asked(client_port, server_port) or _inode(client_port, server_port)


def describe_process(pid: int) -> str:
    """The process's command line and those of its ancestors, the nearest first."""
    shown = []
    for _ in range(_CHAIN):
        command = _command(pid)
        if not command:
            break
        shown.append(f"{command} (pid {pid})")
        pid = _parent(pid)
    return ", started by ".join(shown)


def _asked(client_port: int, server_port: int) -> str:
    """The client's socket as the kernel names it in one answer; empty where it does not."""
    ends = _ENDS.pack(client_port, server_port, _LOOPBACK, _LOOPBACK)
    family, tcp, any_cookie = socket.AF_INET, socket.IPPROTO_TCP, _ANY_STATE
    question = _QUESTION.pack(family, tcp, 0, _ANY_STATE, ends, 0, any_cookie, any_cookie)
    head = (_MESSAGE.size + len(question), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 0, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
            kernel.settimeout(_ANSWER_TIMEOUT_S)
            kernel.send(_MESSAGE.pack(*head) + question)
            answer = kernel.recv(4096)
    except OSError:  # no such interface here; the tables say the same, slower
        return ""
    kind = _MESSAGE.unpack_from(answer)[1]
    if kind != _SOCK_DIAG_BY_FAMILY or len(answer) < _MESSAGE.size + _ANSWER.size:
        return ""
    fields = _ANSWER.unpack_from(answer, _MESSAGE.size)
    # Where the connection is gone, the kernel names whoever listens on its port.
    return str(fields[-1]) if fields[4][: len(ends)] == ends and fields[-1] else ""


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


def _numbers() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208 - read on each create


def _holding(pids: Iterable[int], inode: str) -> dict[int, str]:
    """Those of the processes that hold a socket, each with one of its descriptors for it."""
    named = ((pid, _descriptor(pid, f"socket:[{inode}]")) for pid in pids)
    return {pid: name for pid, name in named if name}


def _descriptor(pid: int, wanted: str) -> str:
    folder = f"/proc/{pid}/fd"
    with contextlib.suppress(OSError):  # gone meanwhile, or another user's
        for name in os.listdir(folder):  # noqa: PTH208 - read on each create
            with contextlib.suppress(OSError):
                if os.readlink(f"{folder}/{name}") == wanted:  # noqa: PTH115 - as above
                    return name
    return ""


def _is_socket(pid: int, name: str, inode: str) -> bool:
    with contextlib.suppress(OSError):  # gone meanwhile
        return os.readlink(f"/proc/{pid}/fd/{name}") == f"socket:[{inode}]"  # noqa: PTH115 - as above
    return False


def _parent(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[_PARENT_FIELD]) if len(fields) > _PARENT_FIELD else 0


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):  # gone meanwhile, or a kernel that does not list them
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - read on each create
            with contextlib.suppress(OSError):
                text = Path(f"/proc/{pid}/task/{task}/children").read_text(encoding="ascii")
                found += map(int, text.split())
    return found


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
