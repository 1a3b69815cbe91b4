"""Compares two tables in DuckDB, out of core: CSV, TSV, Parquet and DuckDB's own files.

Order: rows are compared in order where it is promised, else as a multiset.
Cells: of delimited text the text counts, so 1 is not 1.0, 01 is not 1, and whole numbers
beyond 2^53 stay what they are; of the others the typed value. NULL equals only NULL; an
unquoted empty cell of a CSV is NULL, a quoted one is the empty text. NaN equals NaN and is
not NULL; -0.0 is not 0.0. Instants with a zone are compared as instants and shown in UTC,
those without one as they stand; in text a zone is text. There is no tolerance.

Each row is reduced to a hash of 64 bits; only rows whose hash has no counterpart are read
again. They are paired by position, else by a column whose values are unique, so that a
changed cell is named by its column and a lost row is a lost row. `harness.parity.table_rows`
finds those rows; here they become differences.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb

from harness.errors import BrokenError
from harness.parity.delta import Delta, Kind, Order, shorten, show
from harness.parity.narrowing import Narrowed
from harness.parity.table_rows import Cell, Rows, difference_of
from harness.parity.table_source import (
    Column,
    TableSource,
    UnreadableTableError,
    columns_of,
    literal,
    quoted,
)
from harness.parity.values import Place, segment

__all__ = ["NotNarrowError", "compare_tables", "why_unreadable"]

MEMORY_LIMIT = "1GB"
MAX_ROWS_SHOWN = 3
_NO_ROOM = os.strerror(errno.ENOSPC)


class NotNarrowError(Exception):
    """Two narrowed tables do not show all that the whole ones would."""


def compare_tables(
    local: TableSource,
    remote: TableSource,
    place: Place,
    *,
    order: Order = Order.PROMISED,
    ignore: Collection[str] = (),
    narrowed: Narrowed | None = None,
) -> Iterator[Delta]:
    """Where two tables disagree.

    Order: as `order` says. Tolerance: none. NULL is NULL and nothing else; NaN is NaN; -0.0 is
    not 0.0. Time zones: instants with one are compared as instants, in text it is text.
    Encoding: delimited text comes as UTF-8, what it was written in is `contents`' to compare.

    Args:
        local: the local table.
        remote: the remote table.
        place: where they stand; `columns/<name>` or `rows` is added to its path.
        order: whether the order of rows counts.
        ignore: columns whose values are known to differ from run to run; whether
            they are there, and their types, is compared all the same.
        narrowed: of which tables these are the records that differ; None where they are whole.

    Raises:
        UnreadableTableError: if DuckDB cannot read one of them.
        NotNarrowError: if the whole tables have to be compared.
        BrokenError: if memory and disk do not suffice.
    """
    sources = {"l": local, "r": remote}
    with _database(sources.values()) as db:
        columns = {side: columns_of(db, source) for side, source in sources.items()}
        comparison = _Comparison(
            db, sources=sources, columns=columns, place=place, order=order, narrowed=narrowed
        )
        yield from comparison.run(frozenset(ignore))


def why_unreadable(source: TableSource) -> str | None:
    """Why DuckDB cannot read a table to its end; None where it can."""
    try:
        with _database([source]) as db:
            width = len(columns_of(db, source))
            cells = ", ".join(f"c{index}" for index in range(width))
            db.execute(f"SELECT max(hash({cells})) FROM {source.sql(width)}")
    except UnreadableTableError as error:
        return str(error)
    return None


@contextmanager
def _database(sources: Iterable[TableSource]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection for one comparison; its errors are told apart by whose fault they are.

    Raises:
        UnreadableTableError: if a file cannot be read as a table.
        BrokenError: if memory and disk do not suffice.
    """
    with tempfile.TemporaryDirectory(prefix="harness-tables-") as spill, duckdb.connect() as db:
        db.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
        db.execute(f"SET temp_directory = {literal(spill)}")
        db.execute("SET TimeZone = 'UTC'")
        db.execute("SET preserve_insertion_order = true")
        try:
            for path in {source.path for source in sources if source.table is not None}:
                name = quoted(f"harness {path}")
                db.execute(f"ATTACH {literal(str(path))} AS {name} (READ_ONLY)")
            yield db
        except duckdb.Error as error:
            told = str(error).splitlines()[0]
            if isinstance(error, duckdb.OutOfMemoryException) or _NO_ROOM in str(error):
                raise BrokenError(
                    f"two tables cannot be compared: {told}",
                    expected=f"{MEMORY_LIMIT} of memory, and room in {tempfile.gettempdir()}",
                    next_step="free some space, or set TMPDIR to a larger disk, then run again",
                ) from error
            raise UnreadableTableError(told) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Changed:
    """Where a column's cells differ between paired rows.

    Attributes:
        cell: the column.
        sql: the pairs that differ: FROM and WHERE, rows as `a` and `b`.
        count: how many they are.
    """

    cell: Cell
    sql: str
    count: int


class _Comparison:
    """One comparison: its connection, the two sources, and the columns that both have."""

    def __init__(
        self,
        db: duckdb.DuckDBPyConnection,
        *,
        sources: Mapping[str, TableSource],
        columns: Mapping[str, tuple[Column, ...]],
        place: Place,
        order: Order,
        narrowed: Narrowed | None,
    ) -> None:
        self.narrowed = narrowed
        self.db = db
        self.sources = sources
        self.columns = columns
        self.place = place
        self.order = order
        self.cells: tuple[Cell, ...] = ()

    def run(self, ignore: frozenset[str]) -> Iterator[Delta]:
        yield from self._compare_columns(ignore)
        rows = Rows(
            self.db,
            {side: source.sql(len(self.columns[side])) for side, source in self.sources.items()},
            self.cells,
        )
        if not rows.find_apart():
            return
        rows.find_leftovers()
        self._check_narrow(rows)
        if rows.lost or rows.added:
            yield from self._leftovers(rows)
        if self.order is Order.PROMISED:
            yield from self._compare_order(rows)

    def _check_narrow(self, rows: Rows) -> None:
        """Records that only stand elsewhere, among others that changed, need the whole order.

        Raises:
            NotNarrowError: if there are some.
        """
        if self.narrowed is not None and (rows.lost, rows.added) not in {(0, 0), (rows.apart,) * 2}:
            raise NotNarrowError

    def _total(self, rows: Rows, side: str) -> int:
        return rows.totals[side] if self.narrowed is None else self.narrowed.total

    def _number(self, number: int) -> int:
        """Which row of the whole table it is, from 1."""
        return 1 + (number if self.narrowed is None else self.narrowed.numbers[number])

    def _compare_columns(self, ignore: frozenset[str]) -> Iterator[Delta]:
        mine = {column.name: column for column in self.columns["l"]}
        theirs = {column.name: column for column in self.columns["r"]}
        for name, column in mine.items():
            if name not in theirs:
                yield self._column_place(name).delta(Kind.MISSING, column.type)
        for name, column in theirs.items():
            if name not in mine:
                yield self._column_place(name).delta(Kind.EXTRA, None, column.type)
        common = [name for name in mine if name in theirs]
        if common != [name for name in theirs if name in mine]:
            yield self.place.child("columns").delta(
                Kind.ORDER, show(list(mine)), show(list(theirs))
            )
        for name in common:
            if mine[name].type != theirs[name].type:
                types = (mine[name].type, theirs[name].type)
                yield self._column_place(name).delta(Kind.TYPE, *types, shape="→".join(types))
        positions = {
            side: {column.name: at for at, column in enumerate(columns)}
            for side, columns in self.columns.items()
        }
        comparable = [
            Cell(
                column=mine[name],
                name=f"k{number}",
                places={side: positions[side][name] for side in "lr"},
            )
            for number, name in enumerate(common)
            if mine[name].type == theirs[name].type
        ]
        self.cells = tuple(cell for cell in comparable if cell.column.name not in ignore)
        for cell in comparable:
            if cell.column.name in ignore:
                yield from self._compare_classes(cell)

    def _compare_classes(self, cell: Cell) -> Iterator[Delta]:
        """Values that differ by nature stay of one kind: a NULL among numbers is news."""
        found: dict[str, set[str]] = {}
        for side in "lr":
            relation = self.sources[side].sql(len(self.columns[side]))
            rows = self.db.execute(
                f"SELECT DISTINCT {_class(f'c{cell.places[side]}')} FROM {relation}"
            ).fetchall()
            found[side] = {str(kind) for (kind,) in rows}
        strange = sorted(found["r"] - found["l"])
        if strange and found["l"]:
            known = ", ".join(sorted(found["l"]))
            yield self._column_place(cell.column.name).delta(
                Kind.TYPE, known, ", ".join(strange), shape=f"{known}→{','.join(strange)}"
            )

    def _compare_order(self, rows: Rows) -> Iterator[Delta]:
        """Whether the rows that both sides have stand in one order."""
        moved = rows.moved()
        if moved is None:
            return
        told = [
            self._rows(rows.numbered(side, number), 1)[0]
            for side, number in zip("lr", moved.first, strict=True)
        ]
        yield self.place.child("rows").delta(Kind.ORDER, *told, count=moved.count)

    def _leftovers(self, rows: Rows) -> Iterator[Delta]:
        rows.read_leftovers()
        pairing = rows.pairing()
        if pairing is not None:
            for changed in self._changed(pairing.sql):
                yield self._cell_delta(changed, self._total(rows, "l"))
        here = self.place.child("rows")
        paired = 0 if pairing is None else pairing.count
        if rows.lost > paired:
            relation = "l_rows" if pairing is None else pairing.missing
            yield here.delta(
                Kind.MISSING, self._some(self._total(rows, "l"), relation), count=rows.lost - paired
            )
        if rows.added > paired:
            relation = "r_rows" if pairing is None else pairing.extra
            yield here.delta(
                Kind.EXTRA,
                None,
                self._some(self._total(rows, "r"), relation),
                count=rows.added - paired,
            )

    def _changed(self, pairs: str) -> Iterator[_Changed]:
        if not self.cells:
            return
        counted = ", ".join(f"count(*) FILTER ({difference_of(cell)})" for cell in self.cells)
        counts = self.db.execute(f"SELECT {counted} FROM {pairs}").fetchone() or ()
        for cell, count in zip(self.cells, counts, strict=True):
            if count:
                sql = f"FROM {pairs} WHERE {difference_of(cell)}"
                yield _Changed(cell=cell, sql=sql, count=count)

    def _cell_delta(self, changed: _Changed, total: int) -> Delta:
        """How many cells of a column differ, how, and the first of them."""
        name, column = changed.cell.name, changed.cell.column
        kinds = self.db.execute(
            f"SELECT {_class(f'a.{name}')} AS mine, {_class(f'b.{name}')} AS other "
            f"{changed.sql} GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        shown = self.db.execute(
            f"SELECT a.harness_row, a.{name}::VARCHAR, b.harness_row, b.{name}::VARCHAR "
            f"{changed.sql} ORDER BY 1 LIMIT {MAX_ROWS_SHOWN}"
        ).fetchall()
        heads = [f"{changed.count} of {total} rows: {_listed(kinds, side)}" for side in (0, 1)]
        told = [
            "\n".join(
                [heads[0], *(f"row {self._number(n)}: {_told(column, v)}" for n, v, _, _ in shown)]
            ),
            "\n".join(
                [heads[1], *(f"row {self._number(n)}: {_told(column, v)}" for _, _, n, v in shown)]
            ),
        ]
        # A change of type only where every changed cell is another kind of thing.
        retyped = all(mine != other for mine, other in kinds)
        return self._column_place(column.name).delta(
            Kind.TYPE if retyped else Kind.VALUE,
            *told,
            shape=",".join(f"{mine}→{other}" for mine, other in kinds),
            count=changed.count,
        )

    def _some(self, total: int, relation: str) -> str:
        return "\n".join([f"of {total} rows", *self._rows(relation, MAX_ROWS_SHOWN)])

    def _rows(self, relation: str, limit: int) -> list[str]:
        """The first rows in few words."""
        cells = [f"{cell.name}::VARCHAR" for cell in self.cells]
        found = self.db.execute(
            f"SELECT {', '.join(['harness_row', *cells])} FROM {relation} "
            f"ORDER BY harness_row LIMIT {limit}"
        ).fetchall()
        return [self._row(*row) for row in found]

    def _row(self, number: int, *cells: str | None) -> str:
        named = zip((cell.column for cell in self.cells), cells, strict=True)
        told = ", ".join(f"{column.name}={_told(column, text)}" for column, text in named)
        place = f"row {self._number(number)}"
        return shorten(f"{place}: {told}" if told else place)

    def _column_place(self, name: str) -> Place:
        return self.place.child("columns").child(segment(name))


def _class(expression: str) -> str:
    """What kind of thing a cell holds: null, empty, integer, real, boolean, instant or text."""
    text = f"{expression}::VARCHAR"
    return (
        f"CASE WHEN {expression} IS NULL THEN 'null' WHEN {text} = '' THEN 'empty' "
        f"WHEN regexp_full_match({text}, '[+-]?[0-9]+') THEN 'integer' "
        f"WHEN try_cast({text} AS DOUBLE) IS NOT NULL THEN 'real' "
        f"WHEN lower({text}) IN ('true', 'false') THEN 'boolean' "
        f"WHEN try_cast({text} AS TIMESTAMP) IS NOT NULL THEN 'instant' ELSE 'text' END"
    )


def _listed(kinds: list[tuple[str, ...]], side: int) -> str:
    return ", ".join(sorted({pair[side] for pair in kinds}))


def _told(column: Column, text: str | None) -> str:
    """A cell in few words; only text stands in quotes."""
    if text is None:
        return "NULL"
    return show(text) if column.type == "VARCHAR" else shorten(text)
