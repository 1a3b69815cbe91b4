"""Files as DuckDB sees them: how a table is read, and what its columns are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

__all__ = ["Column", "TableSource", "UnreadableTableError", "columns_of", "literal", "quoted"]

MAX_LINE_BYTES = 64 << 20


class UnreadableTableError(Exception):
    """DuckDB cannot read the file as a table; the message is its first line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column's name and its DuckDB type."""

    name: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSource:
    """A file that holds a table.

    Attributes:
        path: where it is.
        delimiter: of delimited text; None for Parquet.
        header: the names in its first line; None where it has none.
        width: the number of columns of delimited text without a header.
    """

    path: Path
    delimiter: str | None = None
    header: tuple[str, ...] | None = None
    width: int = 0

    def sql(self) -> str:
        """The table function that reads it, with the row's number as column `harness_row`."""
        where = literal(str(self.path))
        if self.delimiter is None:
            return (
                "(SELECT * EXCLUDE (file_row_number), file_row_number AS harness_row "
                f"FROM read_parquet({where}, file_row_number = true))"
            )
        names = self.header or tuple(f"column{index + 1}" for index in range(self.width))
        columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
        return (
            f"(SELECT *, row_number() OVER () - 1 AS harness_row FROM read_csv({where}, "
            f"columns = {{{columns}}}, auto_detect = false, delim = {literal(self.delimiter)}, "
            f"header = {'true' if self.header else 'false'}, quote = '\"', escape = '\"', "
            f"nullstr = '', allow_quoted_nulls = false, null_padding = false, "
            f"max_line_size = {MAX_LINE_BYTES}, strict_mode = true))"
        )


def columns_of(db: duckdb.DuckDBPyConnection, source: TableSource) -> tuple[Column, ...]:
    """The columns of a table in order.

    Raises:
        duckdb.Error: if DuckDB cannot read it.
    """
    rows = db.execute(f"DESCRIBE SELECT * EXCLUDE (harness_row) FROM {source.sql()}").fetchall()
    return tuple(Column(name=str(row[0]), type=str(row[1])) for row in rows)


def quoted(name: str) -> str:
    """A name in SQL, whatever stands in it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text in SQL, whatever stands in it."""
    return "'" + text.replace("'", "''") + "'"
