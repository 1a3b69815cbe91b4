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

import duckdb

from harness.parity.delta import Delta, Kind, Order, shorten, show
from harness.parity.table_source import (
    Column,
    TableSource,
    UnreadableTableError,
    columns_of,
    literal,
    quoted,
)
from harness.parity.values import Place, segment

__all__ = ["compare_tables"]

MEMORY_LIMIT = "1GB"
MAX_ROWS_SHOWN = 3


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
        db.execute(f"SET temp_directory = {literal(spill)}")
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
        mine = {column.name: column for column in columns_of(self.db, self.sources["l"])}
        theirs = {column.name: column for column in columns_of(self.db, self.sources["r"])}
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
                f"SELECT DISTINCT {_class(quoted(column.name))} FROM {self.sources[side].sql()}"
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
        told = [
            self._rows(f"{self.sources[side].sql()} WHERE harness_row = {number}", 1)[0]
            for side, number in (("l", here), ("r", there))
        ]
        yield self.place.child("rows").delta(Kind.ORDER, *told, count=count)

    def _leftovers(self, lost: int, added: int) -> Iterator[Delta]:
        for side in "lr":
            self.db.execute(
                f"CREATE TABLE {side}_rows AS SELECT * FROM {self.sources[side].sql()} "
                f"WHERE harness_row IN (SELECT n FROM {side}_left)"
            )
        key = self._key(lost, added)
        if key is not None:
            for column in self.columns:
                yield from self._cells(column, key)
        yield from self._unpaired(key, lost, added)

    def _key(self, lost: int, added: int) -> str | None:
        """What pairs the leftover rows: their position, else the best column; None if nothing.

        A column pairs them where its values are unique on both sides; the one that
        pairs most is the best.
        """
        if lost == added == self._number("SELECT count(*) FROM l_left JOIN r_left USING (n)"):
            return "harness_row"
        paired = {
            column.name: self._number(
                f"SELECT count(*) FROM l_rows JOIN r_rows USING ({quoted(column.name)})"
            )
            for column in self.columns
            if all(self._is_unique(side, column) for side in "lr")
        }
        best = max(paired, key=paired.__getitem__, default=None)
        return best if best is not None and paired[best] else None

    def _is_unique(self, side: str, column: Column) -> bool:
        count = f"count(*) - count(DISTINCT {quoted(column.name)})"
        return self._number(f"SELECT {count} FROM {side}_rows") == 0

    def _cells(self, column: Column, key: str) -> Iterator[Delta]:
        name, by = quoted(column.name), quoted(key)
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
            by = quoted(key)
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
        return "\n".join([f"of {total} rows", *self._rows(relation, MAX_ROWS_SHOWN)])

    def _rows(self, relation: str, limit: int) -> list[str]:
        """The first rows in few words."""
        cells = [f"{quoted(column.name)}::VARCHAR" for column in self.columns]
        found = self.db.execute(
            f"SELECT {', '.join(['harness_row', *cells])} FROM {relation} "
            f"ORDER BY harness_row LIMIT {limit}"
        ).fetchall()
        return [self._row(*row) for row in found]

    def _row(self, number: int, *cells: str | None) -> str:
        named = zip(self.columns, cells, strict=True)
        told = ", ".join(f"{column.name}={_told(column, text)}" for column, text in named)
        return shorten(f"row {number + 1}: {told}" if told else f"row {number + 1}")

    def _count(self, table: str) -> int:
        return self._number(f"SELECT count(*) FROM {table}")

    def _number(self, sql: str) -> int:
        row = self.db.execute(sql).fetchone()
        return int(row[0]) if row else 0

    def _column_place(self, name: str) -> Place:
        return self.place.child("columns").child(segment(name))


def _identity(column: Column, row: str = "") -> tuple[str, ...]:
    """Expressions that are equal for two rows only if the column's values are one value."""
    name = row + quoted(column.name)
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
