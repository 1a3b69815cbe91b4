"""Finds the rows of two tables that have no counterpart, by hashes, in DuckDB.

Positions are compared first, and a block that one side has more is cut out by comparing
from both ends; so what is counted and sorted is what differs, and not the whole table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from harness.parity.table_source import Column

__all__ = ["Cell", "Moved", "Pairing", "Rows", "difference_of", "identity_of"]

MAX_BY_HASH = 100_000
# Equal by DuckDB's `=`, and told apart by their text: -0.0 inside, and 30 days from one month.
_BY_TEXT = ("STRUCT", "MAP", "UNION", "INTERVAL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A column that both tables have, with one type.

    Attributes:
        column: its name and type.
        name: what it is called in queries.
        places: its number in each side's file, by side.
    """

    column: Column
    name: str
    places: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Rows that stand elsewhere: how many, and the first place on each side."""

    count: int
    first: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """Which leftover row stands for which.

    Attributes:
        sql: the pairs, as a join of `l_rows AS a` and `r_rows AS b`.
        count: how many they are.
        missing: the local rows without a pair, as a relation.
        extra: the same of the remote rows.
    """

    sql: str
    count: int
    missing: str
    extra: str


class Rows:
    """The rows of two tables as hashes: `l` and `r`, in the order of the files.

    Args:
        db: the connection; its tables belong to this object.
        relations: each side's table, its columns named c0, c1, ….
        cells: the columns that are compared.
    """

    def __init__(
        self, db: duckdb.DuckDBPyConnection, relations: Mapping[str, str], cells: Sequence[Cell]
    ) -> None:
        self.db = db
        self.cells = cells
        self.scans = {side: self._scan(side, relation) for side, relation in relations.items()}
        self.totals: dict[str, int] = {}
        self.apart = 0
        self.lost = 0
        self.added = 0

    def find_apart(self) -> int:
        """Hashes the rows; how many positions differ."""
        for side, scan in self.scans.items():
            self.db.execute(f"CREATE TABLE {side} AS SELECT {self._hash()} AS h FROM {scan}")
            self.totals[side] = self._number(f"SELECT count(*) FROM {side}")
        self.db.execute(
            "CREATE TABLE apart AS SELECT a.n AS ln, a.h AS lh, b.n AS rn, b.h AS rh "
            "FROM (SELECT rowid AS n, h FROM l) AS a "
            "POSITIONAL JOIN (SELECT rowid AS n, h FROM r) AS b WHERE a.h IS DISTINCT FROM b.h"
        )
        self.apart = self._number("SELECT count(*) FROM apart")
        return self.apart

    def find_leftovers(self) -> None:
        """Rows without a counterpart; of several equal ones the last are the ones too many."""
        self._bound()
        self.db.execute(
            "CREATE TABLE surplus AS SELECT h, sum(s)::BIGINT AS k FROM (SELECT h, 1 AS s "
            "FROM l_between UNION ALL SELECT h, -1 FROM r_between) GROUP BY h HAVING sum(s) <> 0"
        )
        for side, sign in (("l", ""), ("r", "-")):
            self.db.execute(
                f"CREATE TABLE {side}_left AS SELECT n, h FROM (SELECT n, h, k, row_number() OVER "
                f"(PARTITION BY h ORDER BY n DESC) AS rank FROM {side}_between JOIN surplus "
                f"USING (h)) WHERE rank <= {sign}k"
            )
        self.lost = self._number("SELECT count(*) FROM l_left")
        self.added = self._number("SELECT count(*) FROM r_left")

    def read_leftovers(self) -> None:
        """Reads them again: `l_rows` and `r_rows`, sorted by `harness_row`."""
        for side, count in (("l", self.lost), ("r", self.added)):
            if count == self.totals[side]:
                rows = self._all_numbered(side)
            elif count <= MAX_BY_HASH:
                rows = self._by_hash(side)
            else:
                rows = (
                    f"SELECT * FROM ({self._all_numbered(side)}) "
                    f"WHERE harness_row IN (SELECT n FROM {side}_left) ORDER BY harness_row"
                )
            self.db.execute(f"CREATE TABLE {side}_rows AS {rows}")

    def pairing(self) -> Pairing | None:
        """What pairs the leftover rows: their position, else the best column; None if nothing.

        A column pairs them where its values are unique on both sides; the one that
        pairs most is the best.
        """
        if not self.lost or not self.added:
            return None
        if (
            self.lost
            == self.added
            == self._number("SELECT count(*) FROM l_left JOIN r_left USING (n)")
        ):
            nothing = "(SELECT * FROM l_rows WHERE false)"
            return Pairing(
                sql="l_rows AS a POSITIONAL JOIN r_rows AS b",
                count=self.lost,
                missing=nothing,
                extra=nothing,
            )
        paired = {
            cell.name: self._number(f"SELECT count(*) FROM l_rows JOIN r_rows USING ({cell.name})")
            for cell in self.cells
            if all(self._is_unique(side, cell) for side in "lr")
        }
        best = max(paired, key=paired.__getitem__, default=None)
        if best is None or not paired[best]:
            return None
        return Pairing(
            sql=f"l_rows AS a JOIN r_rows AS b USING ({best})",
            count=paired[best],
            missing=f"l_rows ANTI JOIN r_rows USING ({best})",
            extra=f"r_rows ANTI JOIN l_rows USING ({best})",
        )

    def moved(self) -> Moved | None:
        """Where the rows that both sides have stand in another order; None if nowhere."""
        by_position = self.lost == self.added == self.apart
        if by_position and self.apart == self._number(
            "SELECT count(*) FROM l_left JOIN r_left USING (n)"
        ):
            return None  # what is left stands pairwise at its place
        first, last_l, last_r = self._span()
        for side, last in (("l", last_l), ("r", last_r)):
            self.db.execute(
                f"CREATE TABLE {side}_common AS SELECT row_number() OVER (ORDER BY n) AS i, n, h "
                f"FROM (SELECT rowid AS n, h FROM {side} WHERE rowid BETWEEN {first} AND {last}) "
                f"ANTI JOIN {side}_left USING (n)"
            )
        apart = "FROM l_common AS a JOIN r_common AS b USING (i) WHERE a.h <> b.h"
        count = self._number(f"SELECT count(*) {apart}")
        found = self.db.execute(f"SELECT a.n, b.n {apart} ORDER BY i LIMIT 1").fetchone()
        return None if found is None else Moved(count=count, first=(found[0], found[1]))

    def numbered(self, side: str, number: int) -> str:
        """One row of the file, as a relation."""
        return f"({self._all_numbered(side)}) WHERE harness_row = {number}"

    def _scan(self, side: str, relation: str) -> str:
        cells = ", ".join(f"c{cell.places[side]} AS {cell.name}" for cell in self.cells)
        return f"(SELECT {cells or '0 AS k'} FROM {relation})"

    def _hash(self) -> str:
        parts = [part for cell in self.cells for part in identity_of(cell)]
        return f"hash({', '.join(parts)})" if parts else "0::UBIGINT"

    def _all_numbered(self, side: str) -> str:
        return f"SELECT row_number() OVER () - 1 AS harness_row, * FROM {self.scans[side]}"

    def _by_hash(self, side: str) -> str:
        """Few rows are looked for by their hash, which many threads can do at once."""
        wanted = (
            f"SELECT DISTINCT ON (h) * FROM (SELECT *, {self._hash()} AS h FROM "
            f"{self.scans[side]}) WHERE h IN (SELECT h FROM {side}_left)"
        )
        return (
            f"SELECT n AS harness_row, * EXCLUDE (n, h) FROM {side}_left JOIN ({wanted}) "
            f"USING (h) ORDER BY harness_row"
        )

    def _bound(self) -> None:
        """`l_between` and `r_between`: the rows among which the leftovers are."""
        if self.totals["l"] == self.totals["r"]:
            for side in "lr":
                self.db.execute(
                    f"CREATE VIEW {side}_between AS SELECT {side}n AS n, {side}h AS h FROM apart"
                )
            return
        first, last_l, last_r = self._span()
        for side, last in (("l", last_l), ("r", last_r)):
            self.db.execute(
                f"CREATE VIEW {side}_between AS SELECT rowid AS n, h FROM {side} "
                f"WHERE rowid BETWEEN {first} AND {last}"
            )

    def _span(self) -> tuple[int, int, int]:
        """The first row that differs, and the last of each side, counted from the end."""
        first = self._number("SELECT min(coalesce(ln, rn)) FROM apart")
        more = self.totals["l"] - self.totals["r"]
        longer, shorter = ("l", "r") if more >= 0 else ("r", "l")
        found = self.db.execute(
            f"SELECT max(b.n) FROM (SELECT h FROM {longer} WHERE rowid >= {abs(more)}) AS a "
            f"POSITIONAL JOIN (SELECT rowid AS n, h FROM {shorter}) AS b "
            f"WHERE a.h IS DISTINCT FROM b.h"
        ).fetchone()
        last = first - 1 if found is None or found[0] is None else max(int(found[0]), first - 1)
        ends = {longer: last + abs(more), shorter: last}
        return first, ends["l"], ends["r"]

    def _is_unique(self, side: str, cell: Cell) -> bool:
        count = f"count(*) - count(DISTINCT {cell.name})"
        return self._number(f"SELECT {count} FROM {side}_rows") == 0

    def _number(self, sql: str) -> int:
        row = self.db.execute(sql).fetchone()
        return int(row[0]) if row else 0


def identity_of(cell: Cell, row: str = "") -> tuple[str, ...]:
    """Expressions that are equal for two rows only if the column's values are one value."""
    name, kind = row + cell.name, cell.column.type
    if kind in {"FLOAT", "DOUBLE"}:
        return (name, f"(NOT isnan({name}) AND signbit({name}))")
    if kind.endswith("]") or kind.startswith(_BY_TEXT):
        return (name, f"{name}::VARCHAR")
    return (name,)


def difference_of(cell: Cell) -> str:
    """Whether the cell differs between the rows `a` and `b`."""
    sides = zip(identity_of(cell, "a."), identity_of(cell, "b."), strict=True)
    return "(" + " OR ".join(f"{mine} IS DISTINCT FROM {other}" for mine, other in sides) + ")"
