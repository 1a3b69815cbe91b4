"""Whether the processes that own a run, or one sandbox of it, are still there.

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
from harness.peers import Process, process_of

__all__ = ["Owner", "Ownerless", "dead_runs", "live_runs", "owner_of_process", "ownerless"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownerless:
    """What no living process of this machine can be waiting for.

    Attributes:
        sandbox_ids: sandboxes whose creators are gone, and their gateway with them.
        nonces: creates whose gateway died before it could pass the answer on.
    """

    sandbox_ids: frozenset[str] = frozenset()
    nonces: frozenset[str] = frozenset()


def owner_of_process(pid: int | None = None) -> Owner:
    """The owner that a process is; this one where no pid is given."""
    pid = pid or os.getpid()
    return Owner(
        name=f"{_user()}@{socket.gethostname()}:{pid}",
        pid=pid,
        process_started=process_of(pid).started,
        boot_id=_boot_id(),
    )


def dead_runs(view: LedgerView) -> frozenset[str]:
    """Runs of this machine whose owner is gone, or that closed their ledger.

    Another boot may as well be another machine on a shared folder, and another process
    namespace another container: what cannot be proven dead counts as alive.
    """
    boot_id = _boot_id()
    return frozenset(book.run_id for book in view.books if _is_dead(book, boot_id))


def live_runs(view: LedgerView) -> frozenset[str]:
    """Runs whose owner lives on this machine, and the gateway that looks after them, too."""
    boot_id = _boot_id()
    return frozenset(
        book.run_id
        for book in view.books
        if not book.closed
        and boot_id
        and book.boot_id == boot_id
        and Process(pid=book.pid, started=book.process_started).alive
        and book.gateway is not None
        and book.gateway.alive
    )


def ownerless(view: LedgerView) -> Ownerless:
    """What was left by gateways of this machine that were killed, while their run goes on.

    A sandbox of which a creator lives, or is not known, is not among it.
    """
    boot_id = _boot_id()
    left = [book for book in view.books if _gateway_is_dead(book, boot_id)]
    return Ownerless(
        sandbox_ids=frozenset(
            sandbox_id
            for book in left
            for sandbox_id in book.alive
            if (creators := book.creators.get(sandbox_id)) is not None
            and not any(creator.alive for creator in creators)
        ),
        nonces=frozenset(nonce for book in left for nonce in book.open_intents),
    )


def _is_dead(book: RunBook, boot_id: str) -> bool:
    if book.closed:
        return True
    if not (book.pid and book.process_started and boot_id and book.boot_id == boot_id):
        return False
    return not Process(pid=book.pid, started=book.process_started).alive


def _gateway_is_dead(book: RunBook, boot_id: str) -> bool:
    if book.closed or book.gateway is None or not (boot_id and book.boot_id == boot_id):
        return False
    return not book.gateway.alive


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
