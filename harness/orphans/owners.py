"""Whether the process that owns a run is still there; the only look at processes.

A pid is used again after a while, and another machine may carry the same name; so
an owner is the pid together with the process's start and the machine's boot.
"""

from __future__ import annotations

import getpass
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from harness.orphans.ledger import LedgerView, RunBook

__all__ = ["Owner", "dead_runs", "owner_of_process"]

_START_FIELD = 19  # Source: proc_pid_stat(5), field 22, counted after the command's parenthesis


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """One process of this machine.

    Attributes:
        name: `<user>@<host>:<pid>`, as it stands in the tags.
        pid: the process.
        process_started: its start in the kernel's ticks since boot; empty where unknown.
        boot_id: this boot of this machine and its process namespace; empty where unknown.
    """

    name: str
    pid: int
    process_started: str
    boot_id: str


def owner_of_process(pid: int | None = None) -> Owner:
    """The owner that a process is; this one where no pid is given."""
    pid = pid or os.getpid()
    return Owner(
        name=f"{_user()}@{socket.gethostname()}:{pid}",
        pid=pid,
        process_started=_process_started(pid),
        boot_id=_boot_id(),
    )


def dead_runs(view: LedgerView) -> frozenset[str]:
    """Runs of this machine whose owner is gone, or that closed their ledger.

    Another boot may as well be another machine on a shared folder, and another process
    namespace another container: what cannot be proven dead counts as alive.
    """
    boot_id = _boot_id()
    return frozenset(book.run_id for book in view.books if _is_dead(book, boot_id))


def _is_dead(book: RunBook, boot_id: str) -> bool:
    if book.closed:
        return True
    if not (book.pid and book.process_started and boot_id and book.boot_id == boot_id):
        return False
    return _process_started(book.pid) != book.process_started


def _process_started(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    after_command = stat.rpartition(")")[2].split()
    if after_command[:1] == ["Z"]:  # a zombie owns nothing any more
        return ""
    return after_command[_START_FIELD] if len(after_command) > _START_FIELD else ""


def _boot_id() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return str(os.getuid())
