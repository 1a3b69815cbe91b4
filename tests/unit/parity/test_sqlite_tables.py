"""SQLite files are compared by what they hold: storage classes, rows, and what was made."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from parity_runs import RunFolder, run

from harness.parity.comparison import compare_evidence
from harness.parity.delta import Delta, Kind
from harness.parity.normalise import normalise_evidence

TABLE = "CREATE TABLE t (id INTEGER, x)"
ROWS = "INSERT INTO t VALUES (1, 'a'), (2, NULL), (3, 2.5), (4, x'00ff'), (5, 'ž\"\n,')"

GROWN = ("CREATE TABLE gone AS SELECT hex(randomblob(50000)) AS y", "DROP TABLE gone")


@pytest.fixture
def compared(tmp_path: Path) -> Callable[[str, str], list[tuple[str, Kind, int]]]:
    """What two SQLite files differ in that two scripts make."""

    def compare(local: str, remote: str) -> list[tuple[str, Kind, int]]:
        deltas = differing(tmp_path, made(tmp_path / "l", local), made(tmp_path / "r", remote))
        stem = "files/output/out.db/"
        return [(delta.path.removeprefix(stem), delta.kind, delta.count) for delta in deltas]

    return compare


def made(folder: Path, script: str) -> bytes:
    folder.mkdir()
    with closing(sqlite3.connect(folder / "made")) as database:
        database.executescript(script)
    return (folder / "made").read_bytes()


def differing(folder: Path, local: bytes, remote: bytes) -> list[Delta]:
    sides = [
        normalise_evidence(run(files=[RunFolder(folder / side).file("out.db", content)]))
        for side, content in (("local", local), ("remote", remote))
    ]
    return list(compare_evidence(sides[0], sides[1]))


def test_where_pages_lie_is_no_difference(compared: Callable[..., object]) -> None:
    """A file that shrank, and one of the same rows that never grew."""
    assert compared(f"{TABLE}; {ROWS}", "; ".join([TABLE, ROWS, *GROWN])) == []


@pytest.mark.parametrize(
    ("mine", "theirs", "kind"),
    [
        ("1", "2", Kind.VALUE),
        ("1", "1.0", Kind.TYPE),
        ("1", "'1'", Kind.TYPE),
        ("'a'", "x'61'", Kind.VALUE),
        ("''", "NULL", Kind.TYPE),
        ("'NULL'", "NULL", Kind.TYPE),
        ("0.1", "0.1 + 1e-17 + 2e-17", Kind.VALUE),
        ("9007199254740993", "9007199254740992", Kind.VALUE),
        ("'a' || char(0) || 'b'", "'a' || char(0) || 'c'", Kind.VALUE),
        ("CAST(x'ff' AS TEXT)", "CAST(x'fe' AS TEXT)", Kind.VALUE),
    ],
)
def test_cells_are_told_apart_by_class_and_value(
    mine: str, theirs: str, kind: Kind, compared: Callable[..., object]
) -> None:
    """One cell of a column without a type; the same on both sides is no difference."""
    assert compared(*(f"{TABLE}; {ROWS}, (6, {value})" for value in (mine, theirs))) == [
        ("tables/t/columns/x", kind, 1)
    ]


def test_null_in_the_only_column_is_a_row(compared: Callable[..., object]) -> None:
    """A row of nothing but NULL is not lost on the way."""
    one = "CREATE TABLE t (x); INSERT INTO t VALUES (NULL)"
    assert compared(one, f"{one}, (NULL)") == [("tables/t/rows", Kind.EXTRA, 1)]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("DELETE FROM t WHERE id = 2", ("tables/t/rows", Kind.MISSING, 1)),
        ("CREATE TABLE u (y)", ("tables/u", Kind.EXTRA, 1)),
        ("CREATE INDEX i ON t (x)", ("objects/index i", Kind.EXTRA, 1)),
        ("CREATE VIEW v AS SELECT x FROM t", ("objects/view v", Kind.EXTRA, 1)),
        ("PRAGMA user_version = 7", ("objects/pragma user_version", Kind.VALUE, 1)),
        ("ALTER TABLE t ADD COLUMN z", ("tables/t/columns/z", Kind.EXTRA, 1)),
    ],
)
def test_each_fault_is_one_difference(
    more: str, expected: tuple[str, Kind, int], compared: Callable[..., object]
) -> None:
    """Rows, tables, columns and what was made beside them."""
    assert compared(f"{TABLE}; {ROWS}", f"{TABLE}; {ROWS}; {more}") == [expected]


def test_declaration_counts(compared: Callable[..., object]) -> None:
    """The same rows in a table that was made otherwise."""
    otherwise = TABLE.replace("INTEGER", "INTEGER PRIMARY KEY")
    assert compared(f"{TABLE}; {ROWS}", f"{otherwise}; {ROWS}") == [
        ("objects/table t", Kind.VALUE, 1)
    ]


def test_truncated_file_is_no_database(tmp_path: Path) -> None:
    """Half a file is said to be unreadable, and its bytes are shown."""
    whole = made(tmp_path / "whole", f"{TABLE}; {ROWS}")
    found = differing(tmp_path, whole, whole[: len(whole) // 2])
    assert found[0].kind is Kind.UNPARSABLE
    assert "not SQLite" in str(found[0].remote)
