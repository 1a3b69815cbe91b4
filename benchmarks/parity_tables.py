"""How fast two large CSV files are compared, next to DuckDB's own `EXCEPT ALL` both ways.

`python benchmarks/parity_tables.py` makes two files of `--rows` (10,000,000) rows and ten
columns in which five cells differ, and compares them as parity does: encoding, line ends,
columns, rows and cells. DuckDB's answer is which rows differ. Each in a process of its own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import duckdb
from measuring import show
from parity_measured import measured, report, tables

from harness.model.evidence import FileEvidence, FileRole
from harness.parity.contents import compare_contents
from harness.parity.file_pair import FilePair
from harness.parity.measured import QUIET
from harness.parity.tokens import Normaliser
from harness.parity.values import Place

ROWS = 10_000_000


def by_parity(one: Path, other: Path) -> int:
    """How many differences there are: one for each column with differing cells."""
    left, right = (
        FileEvidence(
            role=FileRole.OUTPUT,
            path="table.csv",
            location=path,
            size_bytes=path.stat().st_size,
            mode=0o644,
            sha256=str(path),
        )
        for path in (one, other)
    )
    pair = FilePair(
        left=left,
        right=right,
        place=Place(path="table", site="table"),
        left_tokens=Normaliser(),
        right_tokens=Normaliser(),
    )
    return sum(delta.count for delta in compare_contents(pair, QUIET))


def by_except_all(one: Path, other: Path) -> int:
    """How many rows differ."""
    ways = [
        f"SELECT * FROM read_csv('{mine}') EXCEPT ALL SELECT * FROM read_csv('{theirs}')"  # noqa: S608 - files made here
        for mine, theirs in ((one, other), (other, one))
    ]
    with duckdb.connect() as db:
        return sum(len(db.execute(way).fetchall()) for way in ways)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--folder", type=Path, help="where the files are made")
    parser.add_argument("--work", choices=["parity", "except-all"], help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.work:
        work = by_parity if asked.work == "parity" else by_except_all
        report(lambda: work(asked.folder / "one.csv", asked.folder / "other.csv"))
        return
    with tempfile.TemporaryDirectory(prefix="parity-tables-", dir=asked.folder) as folder:
        tables(Path(folder), asked.rows)
        words = [sys.executable, __file__, "--folder", folder, "--work"]
        ours, theirs = measured([*words, "parity"]), measured([*words, "except-all"])
    ratio = f"{ours.wall_s / theirs.wall_s:.2f} times ({ours.cpu_s / theirs.cpu_s:.2f} times CPU)"
    show(
        f"two CSV files of {asked.rows:,} rows, 10 columns, 5 cells that differ",
        [
            ("parity", f"{ours.told()}; {ours.said} cells", "under 2,048 MiB"),
            ("DuckDB's EXCEPT ALL both ways", f"{theirs.told()}; {theirs.said} rows", ""),
            ("parity to EXCEPT ALL", ratio, "at most 1.5 times"),
        ],
    )


if __name__ == "__main__":
    main()
