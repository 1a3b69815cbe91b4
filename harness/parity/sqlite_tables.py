"""SQLite files as delimited text, which the comparer of tables reads out of core.

A cell of SQLite has a storage class of its own, whatever its column was declared as, so cells
are written as SQL writes them: 1 is an integer, 1.0 a real, '1' a text, x'31' a blob.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from harness.parity.table_source import TableSource, UnreadableTableError, quoted

__all__ = ["SqliteFile", "is_sqlite", "read_sqlite"]

# https://www.sqlite.org/fileformat.html: the first 16 bytes of every database that is not empty.
_MAGIC = b"SQLite format 3\0"
_PRAGMAS = ("user_version", "application_id", "encoding")


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteFile:
    """What a SQLite file holds.

    Attributes:
        tables: where the rows of each table can be read now, by its name.
        objects: the text of what was made beside tables (indexes, views, triggers) and the
            pragmas that users set, by kind and name.
        declared: how each table was made, by its name.
    """

    tables: Mapping[str, TableSource]
    objects: Mapping[str, str]
    declared: Mapping[str, str]


class _Text(bytes):
    """A text as it is stored, which need not be valid; a blob comes as plain bytes."""


def is_sqlite(path: Path) -> bool:
    """Whether a file says that it is one."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def read_sqlite(path: Path, folder: Path) -> SqliteFile:
    """Reads a SQLite file; nothing is locked, and nothing written beside it.

    What only its write-ahead log holds is not seen; that log is a file of its own.

    Args:
        path: the file.
        folder: an empty one, for the rows.

    Raises:
        UnreadableTableError: if it cannot be read to its end.
    """
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as database:
            made = database.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
            pragmas = {
                f"pragma {name}": str(database.execute(f"PRAGMA {name}").fetchone()[0])
                for name in _PRAGMAS
            }
            database.text_factory = _Text
            tables = [name for kind, name, _ in made if kind == "table"]
            return SqliteFile(
                tables={
                    name: _written(database, name, folder / f"{number}.csv")
                    for number, name in enumerate(tables)
                },
                objects=pragmas
                | {f"{kind} {name}": sql for kind, name, sql in made if sql and kind != "table"},
                declared={name: sql or "" for kind, name, sql in made if kind == "table"},
            )
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise UnreadableTableError(f"not SQLite: {error}") from error


def _written(database: sqlite3.Connection, table: str, into: Path) -> TableSource:
    rows = database.execute(f"SELECT * FROM {quoted(table)}")  # noqa: S608 - quoted
    names = tuple(column[0] for column in rows.description)
    with into.open("w", encoding="utf-8", newline="") as file:
        file.write(_line(f'"{_doubled(name)}"' for name in names))
        file.writelines(_line(map(_cell, row)) for row in rows)
    return TableSource(path=into, delimiter=",", header=names)


def _line(cells: Iterable[str]) -> str:
    return ",".join(cells) + "\n"


def _cell(value: object) -> str:
    """A value as SQL writes it, as a cell of delimited text; NULL is an empty one."""
    if value is None:
        return ""
    if isinstance(value, _Text):
        try:
            return f"\"'{_doubled(value.decode())}'\""
        except UnicodeDecodeError:
            return f"\"CAST(x'{value.hex()}' AS TEXT)\""
    if isinstance(value, bytes):
        return f"\"x'{value.hex()}'\""
    return f'"{value!r}"'


def _doubled(text: str) -> str:
    return text.replace('"', '""')
