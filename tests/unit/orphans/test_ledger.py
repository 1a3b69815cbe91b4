"""The ledger: nothing that was written is lost, wherever a crash cuts it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import BrokenError
from harness.orphans.ledger import LEDGER_NAME, Ledger, RunBook, read_ledgers
from harness.orphans.owners import dead_runs, owner_of_process


def write_run(folder: Path, run_id: str = "run-1", pid: int | None = None) -> Path:
    path = folder / run_id / LEDGER_NAME
    owner = owner_of_process(pid)
    with Ledger(path) as ledger:
        ledger.append(
            "opened",
            run_id=run_id,
            owner=owner.name,
            pid=owner.pid,
            process_started=owner.process_started,
            boot_id=owner.boot_id,
        )
        ledger.append("intent", nonce="n1", metadata={"harness_run": run_id})
        ledger.append("created", nonce="n1", sandbox_id="i1")
        ledger.append("intent", nonce="n2", metadata={})
        ledger.append("refused", nonce="n2", status=400)
        ledger.append("intent", nonce="n3", metadata={})
        ledger.append("created", nonce="n3", sandbox_id="i3")
        ledger.append("killed", sandbox_id="i1", by="client")
    return path


def only_book(folder: Path) -> RunBook:
    (book,) = read_ledgers(folder).books
    return book


def test_ledger_reads_back_what_was_written(tmp_path: Path) -> None:
    """Created and ended sandboxes, and no create left open."""
    write_run(tmp_path)
    book = only_book(tmp_path)
    assert book.run_id == "run-1"
    assert book.created == {"i1", "i3"}
    assert book.alive == {"i3"}
    assert book.books_closed


def test_ledger_cut_at_any_byte_loses_only_the_line_that_was_cut(tmp_path: Path) -> None:
    """Every whole line before the cut counts, the torn one does not, and writing goes on."""
    path = write_run(tmp_path)
    whole = path.read_bytes()
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        with Ledger(path) as ledger:
            ledger.append("created", nonce="n9", sandbox_id="i9")
        lines = whole[:cut].split(b"\n")
        complete = [line for line in lines if line and line in whole.split(b"\n")]
        books = read_ledgers(tmp_path).books
        assert len(books) == bool(complete)
        for book in books:
            assert "i9" in book.created
            assert ("i1" in book.created) is any(
                b'"created"' in line and b'"i1"' in line for line in complete
            )
            assert book.unreadable == len(lines) - len(complete) - (not lines[-1])


def test_ledger_with_a_torn_line_does_not_claim_to_be_complete(tmp_path: Path) -> None:
    """A cut line may have been a create, so the run's books are not closed."""
    path = write_run(tmp_path)
    path.write_bytes(path.read_bytes()[:-5])
    book = only_book(tmp_path)
    assert book.unreadable == 1
    assert not book.books_closed
    assert book.alive == {"i1", "i3"}


def test_ledger_with_an_open_intent_does_not_claim_to_be_complete(tmp_path: Path) -> None:
    """A create whose outcome was never written may have happened."""
    path = write_run(tmp_path)
    with Ledger(path) as ledger:
        ledger.append("intent", nonce="n4", metadata={})
        ledger.append("unanswered", nonce="n4", why="timeout")
    assert not only_book(tmp_path).books_closed


def test_ledger_with_zeros_in_its_middle_still_reads(tmp_path: Path) -> None:
    """A sector that the disk lost costs its lines and no others."""
    path = write_run(tmp_path)
    lines = path.read_bytes().split(b"\n")
    lines[4] = b"\0" * len(lines[4])
    path.write_bytes(b"\n".join(lines))
    assert only_book(tmp_path).created == {"i1", "i3"}


def test_ledger_in_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """The refusal names the file and says what to do."""
    (tmp_path / "run-1").write_text("a file where a folder is needed")
    with pytest.raises(BrokenError, match="cannot be written") as caught:
        Ledger(tmp_path / "run-1" / LEDGER_NAME)
    assert len(caught.value.lines()) == 3


def test_ledgers_of_no_folder_are_none(tmp_path: Path) -> None:
    """A machine on which no gateway ever ran has no ledgers."""
    assert read_ledgers(tmp_path / "nowhere").books == ()


def test_dead_runs_are_those_whose_process_is_gone(tmp_path: Path) -> None:
    """A living owner's run is alive; a finished process's is not, also when its pid is reused."""
    write_run(tmp_path, "run-alive")
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        write_run(tmp_path, "run-child", child.pid)
        assert dead_runs(read_ledgers(tmp_path)) == frozenset()
    finally:
        child.communicate(b"\n")
    assert dead_runs(read_ledgers(tmp_path)) == {"run-child"}
    path = tmp_path / "run-alive" / LEDGER_NAME
    started = owner_of_process().process_started
    path.write_bytes(path.read_bytes().replace(started.encode(), b"1", 1))
    assert dead_runs(read_ledgers(tmp_path)) == {"run-alive", "run-child"}


def test_dead_runs_of_another_boot_or_machine_are_not_proven(tmp_path: Path) -> None:
    """A ledger on a shared folder says nothing of processes that cannot be seen from here."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    path = write_run(tmp_path, "run-child", child.pid)
    child.communicate(b"\n")
    boot_id = owner_of_process().boot_id
    path.write_bytes(path.read_bytes().replace(boot_id.encode(), b"another"))
    assert dead_runs(read_ledgers(tmp_path)) == frozenset()


def test_dead_runs_include_those_that_closed_their_books(tmp_path: Path) -> None:
    """A gateway that ended in order needs nothing any more."""
    path = write_run(tmp_path)
    with Ledger(path) as ledger:
        ledger.append("closed")
    assert dead_runs(read_ledgers(tmp_path)) == {"run-1"}
