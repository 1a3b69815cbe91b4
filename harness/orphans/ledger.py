"""What was created, written down before and after it happened, so that no crash loses it.

One file a run, one JSON object a line, each appended before the next step is taken, and
forced to disk before that as well, except for `created`: should the machine fall in the
moment until then, the intent is there, and leads to the sandbox by its nonce. A line that a
crash cut off never parses (an object's last byte is its closing brace), is counted and
skipped; the next writer starts a new line.

kinds: `opened` {run_id, owner, pid, process_started, boot_id, gateway, upstream} · `intent`
{nonce, metadata} · `created` {nonce, sandbox_id, creators} · `refused` {nonce, status} ·
`unanswered` {nonce, why} · `adopted` {sandbox_id, creators} ·
`killed` {sandbox_id, by} · `gone` {sandbox_id} · `left` {sandbox_id, why} ·
`collected` {sandbox_id, size_bytes} · `not_collected` {sandbox_id, why} · `closed`.
A process is {pid, started}; `creators` is null where nobody could say who they are.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.clock import Clock, SystemClock, format_instant
from harness.errors import BrokenError
from harness.model.run import Json
from harness.peers import Process

__all__ = ["LEDGER_NAME", "Ledger", "LedgerView", "RunBook", "read_ledgers"]

LEDGER_NAME = "ledger.jsonl"


class Ledger:
    """The open ledger of one run; safe for threads.

    Args:
        path: its file; made with its folder where it is not there.
        clock: says when.

    Raises:
        BrokenError: if it cannot be written.
    """

    def __init__(self, path: Path, *, clock: Clock | None = None) -> None:
        self.path = path
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600)
            self._end_torn_line()
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)  # the file's name must survive as well as its lines
            finally:
                os.close(folder)
        except OSError as error:
            raise _unwritable(path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        os.close(self._fd)

    def append(self, kind: str, **fields: Json) -> None:
        """Writes one line and returns when it is on the disk.

        Raises:
            BrokenError: if it cannot be written, for instance on a full disk.
        """
        self.write(kind, **fields)
        self.force()

    def write(self, kind: str, **fields: Json) -> None:
        """Writes one line that outlives this process; `force` has it outlive the machine.

        Raises:
            BrokenError: if it cannot be written, for instance on a full disk.
        """
        line = {"at": format_instant(self._clock.now()), "kind": kind, **fields}
        data = (json.dumps(line, separators=(",", ":")) + "\n").encode()
        try:
            with self._lock:
                self._write(data)
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def force(self) -> None:
        """Returns when every line is on the disk.

        Raises:
            BrokenError: if the disk refuses.
        """
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def _write(self, data: bytes) -> None:
        written = os.write(self._fd, data)
        if written != len(data):
            os.write(self._fd, b"\n")
            raise OSError(f"only {written} of {len(data)} bytes fitted")

    def _end_torn_line(self) -> None:
        size = os.fstat(self._fd).st_size
        if size and os.pread(self._fd, 1, size - 1) != b"\n":
            os.write(self._fd, b"\n")


@dataclass(slots=True, kw_only=True)
class RunBook:
    """One run as its ledger tells it.

    Attributes:
        run_id: the run.
        owner: who ran it.
        pid: its owner's process.
        process_started: when that process started, in the kernel's ticks since boot.
        boot_id: the boot of the machine that it ran on.
        gateway: the process that wrote the ledger; None in a ledger that does not say.
        created: every sandbox that it created.
        creators: the processes that created each, or use it since; None where unknown.
        ended: those that are known to be over.
        open_intents: creates of which the outcome was never written.
        closed: it ended in order.
        unreadable: lines that a crash cut off.
    """

    run_id: str = ""
    owner: str = ""
    pid: int = 0
    process_started: str = ""
    boot_id: str = ""
    gateway: Process | None = None
    created: set[str] = field(default_factory=set)
    creators: dict[str, tuple[Process, ...] | None] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    open_intents: set[str] = field(default_factory=set)
    closed: bool = False
    unreadable: int = 0

    @property
    def alive(self) -> frozenset[str]:
        """What was created and is not known to be over."""
        return frozenset(self.created - self.ended)

    @property
    def books_closed(self) -> bool:
        """Whether everything that the run created is certainly listed here."""
        return bool(self.run_id) and not self.open_intents and not self.unreadable


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerView:
    """All the runs whose ledgers are on this machine."""

    books: tuple[RunBook, ...] = ()

    def created(self) -> dict[str, frozenset[str]]:
        """Ids by run."""
        return {book.run_id: frozenset(book.created) for book in self.books}

    def closed_books(self) -> frozenset[str]:
        """Runs that created nothing but what their ledger lists."""
        return frozenset(book.run_id for book in self.books if book.books_closed)


def read_ledgers(folder: Path) -> LedgerView:
    """Every ledger below a gateway's state folder; empty where there is none.

    Raises:
        BrokenError: if a ledger is there and cannot be read.
    """
    books = []
    for path in sorted(folder.glob(f"*/{LEDGER_NAME}")):
        try:
            books.append(_read(path.read_bytes().split(b"\n")))
        except OSError as error:
            raise BrokenError(
                f"the ledger {path} cannot be read: {error}",
                expected="a file that this user may read",
                next_step=f"correct its permissions, or move {path.parent} away",
            ) from error
    return LedgerView(books=tuple(book for book in books if book.run_id))


def _read(lines: Iterable[bytes]) -> RunBook:
    book = RunBook()
    for line in lines:
        if not line.strip():
            continue
        fields = _object(line)
        if fields is None:
            book.unreadable += 1
            continue
        _enter(book, fields)
    return book


def _object(line: bytes) -> Mapping[str, Json] | None:
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) and "kind" in fields else None


def _enter(book: RunBook, fields: Mapping[str, Json]) -> None:
    nonce, sandbox_id = str(fields.get("nonce", "")), str(fields.get("sandbox_id", ""))
    match fields["kind"]:
        case "opened":
            book.run_id, book.owner = str(fields.get("run_id", "")), str(fields.get("owner", ""))
            pid = fields.get("pid")
            book.pid = pid if isinstance(pid, int) else 0
            book.process_started = str(fields.get("process_started", ""))
            book.boot_id = str(fields.get("boot_id", ""))
            book.gateway = _process(fields.get("gateway"))
            book.closed = False
        case "intent":
            book.open_intents.add(nonce)
        case "created":
            book.open_intents.discard(nonce)
            book.created.add(sandbox_id)
            book.creators[sandbox_id] = _processes(fields.get("creators"))
        case "adopted":
            before, more = book.creators.get(sandbox_id), _processes(fields.get("creators"))
            unknown = before is None or more is None
            book.creators[sandbox_id] = None if unknown else (*(before or ()), *(more or ()))
        case "refused":
            book.open_intents.discard(nonce)
        case "killed" | "gone":
            book.ended.add(sandbox_id)
        case "closed":
            book.closed = True
        case _:
            return


def _processes(value: Json) -> tuple[Process, ...] | None:
    if not isinstance(value, list):
        return None
    found = [_process(item) for item in value]
    known = tuple(process for process in found if process is not None)
    return known if len(known) == len(found) else None


def _process(value: Json) -> Process | None:
    if not isinstance(value, dict) or not isinstance(value.get("pid"), int):
        return None
    return Process(pid=int(str(value["pid"])), started=str(value.get("started", "")))


def _unwritable(path: Path, error: OSError) -> BrokenError:
    return BrokenError(
        f"the ledger {path} cannot be written: {error}",
        expected="room on the disk and a folder that this user may write to",
        next_step="make room or choose another state folder, then run again",
    )
