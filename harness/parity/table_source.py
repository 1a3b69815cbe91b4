"""Files as DuckDB sees them: how a table is read, and what its columns are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb

__all__ = [
    "Column",
    "TableSource",
    "UnreadableTableError",
    "columns_of",
    "literal",
    "objects_of",
    "parquet_format_of",
    "quoted",
    "tables_of",
]

MAX_LINE_BYTES = 64 << 20
BUFFER_BYTES = 2 * MAX_LINE_BYTES  # else DuckDB takes sixteen times the longest line


_OBJECTS = {
    "view": "SELECT schema_name, view_name, sql FROM duckdb_views() WHERE NOT internal",
    "index": "SELECT schema_name, index_name, sql FROM duckdb_indexes()",
    "macro": "SELECT schema_name, function_name, string_agg(text, '; ' ORDER BY text) FROM "
    "(SELECT DISTINCT schema_name, function_name, concat_ws(' -> ', parameters::VARCHAR, "
    "macro_definition) AS text FROM duckdb_functions() WHERE NOT internal "
    "AND function_type LIKE '%macro') GROUP BY schema_name, function_name",
    "sequence": "SELECT schema_name, sequence_name, concat_ws(' ', start_value, min_value, "
    "max_value, increment_by, cycle, last_value) FROM duckdb_sequences()",
    "constraints of": "SELECT schema_name, table_name, string_agg(constraint_text, '; ' "
    "ORDER BY constraint_text) FROM duckdb_constraints() GROUP BY schema_name, table_name",
}


class UnreadableTableError(Exception):
    """DuckDB cannot read a file as a table; the message is its first line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column's name and its DuckDB type; of two columns of one name the second is `name#2`."""

    name: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSource:
    """A file that holds a table.

    Attributes:
        path: where it is.
        delimiter: of delimited text; None for Parquet and for a database.
        header: the names in its first line; None where it has none.
        width: the number of columns of delimited text without a header.
        table: of a DuckDB database: schema and name of one of its tables.
    """

    path: Path
    delimiter: str | None = None
    header: tuple[str, ...] | None = None
    width: int = 0
    table: tuple[str, str] | None = None

    def names(self) -> tuple[str, ...]:
        """The names of delimited text's columns."""
        return self.header or tuple(f"column{index + 1}" for index in range(self.width))

    def sql(self, width: int) -> str:
        """The relation that reads it, in the file's order, its columns named c0, c1, ….

        Names of files are not used in queries: they may repeat, or differ only in case.
        """
        where = literal(str(self.path))
        if self.delimiter is None:
            names = ", ".join(f"c{index}" for index in range(width))
            return f"{self._relation()} AS harness_table({names})"
        columns = ", ".join(f"'c{index}': 'VARCHAR'" for index in range(width))
        return (
            f"read_csv({where}, columns = {{{columns}}}, auto_detect = false, "
            f"delim = {literal(self.delimiter)}, header = {'true' if self.header else 'false'}, "
            f"quote = '\"', escape = '\"', nullstr = '', allow_quoted_nulls = false, "
            f"null_padding = false, max_line_size = {MAX_LINE_BYTES}, "
            f"buffer_size = {BUFFER_BYTES}, strict_mode = true)"
        )

    def describe(self, db: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
        """Names and types of its columns in order.

        Raises:
            duckdb.Error: if DuckDB cannot read it.
        """
        if self.delimiter is not None:
            return [(name, "VARCHAR") for name in self.names()]
        rows = db.execute(f"DESCRIBE SELECT * FROM {self._relation()}").fetchall()
        return [(str(row[0]), str(row[1])) for row in rows]

    def _relation(self) -> str:
        if self.table is None:
            return f"read_parquet({literal(str(self.path))})"
        database = quoted(f"harness {self.path}")
        return ".".join([database, *(quoted(name) for name in self.table)])


def columns_of(db: duckdb.DuckDBPyConnection, source: TableSource) -> tuple[Column, ...]:
    """The columns of a table in order.

    Raises:
        duckdb.Error: if DuckDB cannot read it.
    """
    described = source.describe(db)
    names = _apart(name for name, _ in described)
    return tuple(
        Column(name=name, type=kind) for name, (_, kind) in zip(names, described, strict=True)
    )


def tables_of(path: Path) -> frozenset[tuple[str, str]]:
    """Schema and name of each table of a DuckDB file.

    Raises:
        UnreadableTableError: if it is none.
    """
    try:
        with duckdb.connect(str(path), read_only=True) as db:
            rows = db.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
    except duckdb.Error as error:
        raise UnreadableTableError(str(error).splitlines()[0]) from error
    return frozenset((str(schema), str(table)) for schema, table in rows)


def objects_of(path: Path) -> dict[str, str]:
    """What a DuckDB file holds beside tables, by kind and name: views, indexes and the like.

    Raises:
        UnreadableTableError: if it is none.
    """
    try:
        with duckdb.connect(str(path), read_only=True) as db:
            return {
                f"{kind} {'.'.join(map(str, names))}": str(text)
                for kind, query in _OBJECTS.items()
                for *names, text in db.execute(query).fetchall()
            }
    except duckdb.Error as error:
        raise UnreadableTableError(str(error).splitlines()[0]) from error


def parquet_format_of(path: Path) -> dict[str, str]:
    """How a Parquet file is packed, by whom, and its metadata by key.

    Where its row groups end is left out: one writer puts them elsewhere from run to run.

    Raises:
        UnreadableTableError: if it is none.
    """
    file = literal(str(path))
    packed = "string_agg(DISTINCT compression, ', ' ORDER BY compression)"
    try:
        with duckdb.connect() as db:
            codec = db.execute(f"SELECT {packed} FROM parquet_metadata({file})").fetchone()
            writer = db.execute(f"SELECT created_by FROM parquet_file_metadata({file})").fetchone()
            pairs = db.execute(f"SELECT key, value FROM parquet_kv_metadata({file})").fetchall()
    except duckdb.Error as error:
        raise UnreadableTableError(str(error).splitlines()[0]) from error
    found = {"codec": codec, "written_by": writer}
    told = {name: str(row[0]) for name, row in found.items() if row and row[0] is not None}
    return told | {f"metadata {_told(key)}": _told(value) for key, value in pairs}


def _told(stored: bytes) -> str:
    return stored.decode("utf-8", "backslashreplace")


def quoted(name: str) -> str:
    """A name in SQL, whatever stands in it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text in SQL, whatever stands in it."""
    return "'" + text.replace("'", "''") + "'"


def _apart(names: Iterable[str]) -> list[str]:
    """The names, each of its own: the second `a` is `a#2`."""
    seen: Counter[str] = Counter()
    apart = []
    for name in names:
        seen[name] += 1
        apart.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return apart
