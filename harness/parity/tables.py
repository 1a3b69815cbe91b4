"""Compares two tables in DuckDB, out of core: CSV, TSV and Parquet.

Order: rows are compared in order where it is promised, else as a multiset.
Cells: of a CSV the text counts, so 1 is not 1.0 and 01 is not 1; of Parquet the
typed value. NULL equals only NULL; an unquoted empty cell of a CSV is NULL, a
quoted one is the empty text. NaN equals NaN; -0.0 is not 0.0. Instants with a
zone are compared as instants, shown in UTC. There is no tolerance.

Each row is reduced to a hash of 64 bits; only rows whose hash has no counterpart
are read again. They are paired by position, else by a column whose values are
unique, so that a changed cell is named by its column and a lost row is a lost row.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from harness.parity.delta import Delta, Kind, Order, shorten, show
from harness.parity.values import Place, segment

__all__ = ["Column", "TableSource", "UnreadableTableError", "compare_tables", "read_columns"]

MEMORY_LIMIT = "1GB"
MAX_PAIRED = 200_000
MAX_ROWS_SHOWN = 3
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
        where = _literal(str(self.path))
        if self.delimiter is None:
            return (
                "(SELECT * EXCLUDE (file_row_number), file_row_number AS harness_row "
                f"FROM read_parquet({where}, file_row_number = true))"
            )
        names = self.header or tuple(f"column{index + 1}" for index in range(self.width))
        columns = ", ".join(f"{_literal(name)}: 'VARCHAR'" for name in names)
        return (
            f"(SELECT *, row_number() OVER () - 1 AS harness_row FROM read_csv({where}, "
            f"columns = {{{columns}}}, auto_detect = false, delim = {_literal(self.delimiter)}, "
            f"header = {'true' if self.header else 'false'}, quote = '\"', escape = '\"', "
            f"nullstr = '', allow_quoted_nulls = false, null_padding = false, "
            f"max_line_size = {MAX_LINE_BYTES}, strict_mode = true))"
        )


def compare_tables(
    local: TableSource,
    remote: TableSource,
    place: Place,
    *,
    order: Order = Order.PROMISED,
    ignore: Collection[str] = (),
) -> Iterator[Delta]:
    """Where two tables disagree.

    Args:
        local: the local table.
        remote: the remote table.
        place: where they stand; `columns/<name>` or `rows` is added to its path.
        order: whether the order of rows counts.
        ignore: columns whose values are known to differ from run to run; whether
            they are there, and their types, is compared all the same.

    Raises:
        UnreadableTableError: if DuckDB cannot read one of them.
    """
    with tempfile.TemporaryDirectory(prefix="harness-tables-") as spill, duckdb.connect() as db:
        db.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
        db.execute(f"SET temp_directory = {_literal(spill)}")
        db.execute("SET TimeZone = 'UTC'")
        db.execute("SET preserve_insertion_order = true")
        try:
            yield from _Comparison(
                db,
                sources={"l": local, "r": remote},
                place=place,
                order=order,
                ignore=frozenset(ignore),
            ).run()
        except duckdb.Error as error:
            raise UnreadableTableError(str(error).splitlines()[0]) from error


def read_columns(source: TableSource) -> tuple[Column, ...]:
    """The columns of a table in order.

    Raises:
        UnreadableTableError: if DuckDB cannot read it.
    """
    with duckdb.connect() as db:
        try:
            return _columns(db, source)
        except duckdb.Error as error:
            raise UnreadableTableError(str(error).splitlines()[0]) from error


class _Comparison:
    """One comparison: its connection and the two tables of row hashes, `l` and `r`."""

    def __init__(
        self,
        db: duckdb.DuckDBPyConnection,
        *,
        sources: Mapping[str, TableSource],
        place: Place,
        order: Order,
        ignore: frozenset[str],
    ) -> None:
        self.db = db
        self.sources = sources
        self.place = place
        self.order = order
        self.ignore = ignore
        self.columns: tuple[Column, ...] = ()

    def run(self) -> Iterator[Delta]:
        yield from self._compare_columns()
        for side in "lr":
            self._hash_rows(side)
        if self._differing_positions() == 0:
            return
        self._find_leftovers()
        lost, added = self._count("l_left"), self._count("r_left")
        if lost or added:
            yield from self._leftovers(lost, added)
        if self.order is Order.PROMISED:
            yield from self._compare_order()

    def _compare_columns(self) -> Iterator[Delta]:
        mine = {column.name: column for column in _columns(self.db, self.sources["l"])}
        theirs = {column.name: column for column in _columns(self.db, self.sources["r"])}
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
        comparable = [mine[name] for name in common if mine[name].type == theirs[name].type]
        self.columns = tuple(column for column in comparable if column.name not in self.ignore)
        for column in comparable:
            if column.name in self.ignore:
                yield from self._compare_classes(column)

    def _compare_classes(self, column: Column) -> Iterator[Delta]:
        """Values that differ by nature stay of one kind: a NULL among numbers is news."""
        found: dict[str, set[str]] = {}
        for side in "lr":
            rows = self.db.execute(
                f"SELECT DISTINCT {_class(_quoted(column.name))} FROM {self.sources[side].sql()}"
            ).fetchall()
            found[side] = {str(kind) for (kind,) in rows}
        strange = sorted(found["r"] - found["l"])
        if strange and found["l"]:
            known = ", ".join(sorted(found["l"]))
            yield self._column_place(column.name).delta(
                Kind.TYPE, known, ", ".join(strange), shape=f"{known}→{','.join(strange)}"
            )

    def _hash_rows(self, side: str) -> None:
        parts = [part for column in self.columns for part in _identity(column)]
        hashed = f"hash({', '.join(parts)})" if parts else "0::UBIGINT"
        self.db.execute(
            f"CREATE TABLE {side} AS SELECT harness_row AS n, {hashed} AS h "
            f"FROM {self.sources[side].sql()}"
        )

    def _differing_positions(self) -> int:
        return self._number(
            "SELECT count(*) FROM l FULL JOIN r ON l.n = r.n WHERE l.h IS DISTINCT FROM r.h"
        )

    def _find_leftovers(self) -> None:
        """Rows without a counterpart; of several equal ones the last are the ones too many."""
        self.db.execute(
            "CREATE TABLE surplus AS SELECT h, sum(s)::BIGINT AS k FROM "
            "(SELECT h, 1 AS s FROM l UNION ALL SELECT h, -1 FROM r) GROUP BY h HAVING sum(s) <> 0"
        )
        for side, sign in (("l", ""), ("r", "-")):
            self.db.execute(
                f"CREATE TABLE {side}_left AS SELECT n FROM (SELECT n, k, row_number() OVER "
                f"(PARTITION BY h ORDER BY n DESC) AS rank FROM {side} JOIN surplus USING (h)) "
                f"WHERE rank <= {sign}k"
            )

    def _compare_order(self) -> Iterator[Delta]:
        """Whether the rows that both sides have stand in one order."""
        for side in "lr":
            self.db.execute(
                f"CREATE TABLE {side}_common AS SELECT row_number() OVER (ORDER BY n) AS i, n, h "
                f"FROM {side} ANTI JOIN {side}_left USING (n)"
            )
        moved = "FROM l_common AS a JOIN r_common AS b USING (i) WHERE a.h <> b.h"
        count = self._number(f"SELECT count(*) {moved}")
        if not count:
            return
        first = self.db.execute(f"SELECT a.n, b.n {moved} ORDER BY i LIMIT 1").fetchone()
        here, there = first or (0, 0)
        yield self.place.child("rows").delta(
            Kind.ORDER,
            self._row("l", here),
            self._row("r", there),
            count=count,
        )

    def _leftovers(self, lost: int, added: int) -> Iterator[Delta]:
        for side in "lr":
            self.db.execute(
                f"CREATE TABLE {side}_rows AS SELECT * FROM {self.sources[side].sql()} "
                f"WHERE harness_row IN (SELECT n FROM {side}_left ORDER BY n LIMIT {MAX_PAIRED})"
            )
        key = self._key(lost, added)
        if key is not None:
            for column in self.columns:
                yield from self._cells(column, key)
        yield from self._unpaired(key, lost, added)

    def _key(self, lost: int, added: int) -> str | None:
        """The column by which leftover rows are paired; None where nothing pairs them."""
        positions = "SELECT count(*) FROM l_left JOIN r_left USING (n)"
        if lost == added == self._number(positions):
            return "harness_row"
        best: tuple[int, str] | None = None
        for column in self.columns:
            name = _quoted(column.name)
            for_each = f"SELECT count(*) = count(DISTINCT {name}) FROM {{side}}_rows"
            if not all(
                self.db.execute(for_each.format(side=s)).fetchone() == (True,) for s in "lr"
            ):
                continue
            shared = self._number(f"SELECT count(*) FROM l_rows JOIN r_rows USING ({name})")
            if shared and (best is None or shared > best[0]):
                best = (shared, column.name)
        if best is None and lost == added:
            return None
        return best[1] if best else None

    def _cells(self, column: Column, key: str) -> Iterator[Delta]:
        name, by = _quoted(column.name), _quoted(key)
        identities = zip(_identity(column, "a."), _identity(column, "b."), strict=True)
        differs = " OR ".join(f"{mine} IS DISTINCT FROM {other}" for mine, other in identities)
        changed = f"FROM l_rows AS a JOIN r_rows AS b USING ({by}) WHERE ({differs})"
        count = self._number(f"SELECT count(*) {changed}")
        if not count:
            return
        kinds = self.db.execute(
            f"SELECT DISTINCT {_class(f'a.{name}')} || '→' || {_class(f'b.{name}')} AS kind "
            f"{changed} ORDER BY kind"
        ).fetchall()
        shown = self.db.execute(
            f"SELECT a.harness_row, a.{name}::VARCHAR, b.{name}::VARCHAR {changed} "
            f"ORDER BY 1 LIMIT {MAX_ROWS_SHOWN}"
        ).fetchall()
        here = self._column_place(column.name)
        shape = ",".join(kind for (kind,) in kinds)
        yield here.delta(
            self._cell_kind(shape),
            "\n".join(f"row {n + 1}: {_told(column, mine)}" for n, mine, _ in shown),
            "\n".join(f"row {n + 1}: {_told(column, theirs)}" for n, _, theirs in shown),
            shape=shape,
            count=count,
        )

    @staticmethod
    def _cell_kind(shape: str) -> Kind:
        """A change of type only where every changed cell is another kind of thing."""
        pairs = [kind.split("→") for kind in shape.split(",")]
        return Kind.TYPE if all(mine != theirs for mine, theirs in pairs) else Kind.VALUE

    def _unpaired(self, key: str | None, lost: int, added: int) -> Iterator[Delta]:
        paired = 0
        missing, extra = "l_rows", "r_rows"
        if key is not None:
            by = _quoted(key)
            paired = self._number(f"SELECT count(*) FROM l_rows JOIN r_rows USING ({by})")
            missing = f"l_rows ANTI JOIN r_rows USING ({by})"
            extra = f"r_rows ANTI JOIN l_rows USING ({by})"
        here = self.place.child("rows")
        if lost > paired:
            yield here.delta(Kind.MISSING, self._some("l", missing), count=lost - paired)
        if added > paired:
            yield here.delta(Kind.EXTRA, None, self._some("r", extra), count=added - paired)

    def _some(self, side: str, relation: str) -> str:
        total = self._number(f"SELECT count(*) FROM {side}")
        found = self.db.execute(
            f"SELECT harness_row FROM {relation} ORDER BY harness_row LIMIT {MAX_ROWS_SHOWN}"
        ).fetchall()
        shown = [self._row(side, number) for (number,) in found]
        return "\n".join([f"of {total} rows", *shown])

    def _row(self, side: str, number: int) -> str:
        names = ", ".join(f"{_quoted(column.name)}::VARCHAR" for column in self.columns)
        if not names:
            return f"row {number + 1}"
        row = self.db.execute(
            f"SELECT {names} FROM {self.sources[side].sql()} WHERE harness_row = {number}"
        ).fetchone()
        cells = zip(self.columns, row or (), strict=False)
        told = ", ".join(f"{column.name}={_told(column, value)}" for column, value in cells)
        return shorten(f"row {number + 1}: {told}")

    def _count(self, table: str) -> int:
        return self._number(f"SELECT count(*) FROM {table}")

    def _number(self, sql: str) -> int:
        row = self.db.execute(sql).fetchone()
        return int(row[0]) if row else 0

    def _column_place(self, name: str) -> Place:
        return self.place.child("columns").child(segment(name))


def _columns(db: duckdb.DuckDBPyConnection, source: TableSource) -> tuple[Column, ...]:
    rows = db.execute(f"DESCRIBE SELECT * EXCLUDE (harness_row) FROM {source.sql()}").fetchall()
    return tuple(Column(name=str(row[0]), type=str(row[1])) for row in rows)


def _identity(column: Column, row: str = "") -> tuple[str, ...]:
    """Expressions that are equal for two rows only if the column's values are one value."""
    name = row + _quoted(column.name)
    if column.type in {"FLOAT", "DOUBLE"}:
        return (name, f"(NOT isnan({name}) AND signbit({name}))")
    if column.type.endswith("]") or column.type.startswith(("STRUCT", "MAP", "UNION")):
        return (f"{name}::VARCHAR",)  # tells -0.0 from 0.0 inside
    return (name,)


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


def _told(column: Column, text: str | None) -> str:
    """A cell in few words; only text stands in quotes."""
    if text is None:
        return "NULL"
    return show(text) if column.type == "VARCHAR" else shorten(text)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
