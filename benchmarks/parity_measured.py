"""What parity's benchmarks share: one piece of work in a process of its own, measured."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Cost", "measured", "report", "tables"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a piece of work took."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    said: object = None

    def told(self) -> str:
        return f"{self.wall_s:.1f} s ({self.cpu_s:.1f} s CPU), peak {self.peak_mib:,.0f} MiB"


def measured(command: Sequence[str]) -> Cost:
    """Runs a program that ends with `report`."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def report(work: Callable[[], object]) -> None:
    """Does the work, and prints what it took as one line of JSON."""
    wall, cpu = time.perf_counter(), time.process_time()
    said = work()
    document = {
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "said": said,
    }
    sys.stdout.write(json.dumps(document) + "\n")


def tables(folder: Path, rows: int) -> tuple[Path, Path]:
    """Two CSV files of ten columns in which five cells differ."""
    import duckdb  # noqa: PLC0415 - only the process that makes them needs it

    one, other = folder / "one.csv", folder / "other.csv"
    made = f"""
        SELECT i AS id, (hash(i) % 1000000)::INTEGER AS customer,
            round((hash(i * 7) % 10000000) / 100.0, 2) AS amount,
            'name-' || (hash(i * 3) % 50000) AS name,
            TIMESTAMP '2026-01-01' + INTERVAL (i) SECOND AS moment,
            CASE WHEN i % 11 = 0 THEN NULL ELSE (hash(i * 13) % 7)::INTEGER END AS kind,
            i % 2 = 0 AS flag, 'city ' || (i % 977) || ', "x"' AS place,
            hash(i * 17) / 1e19 AS score, DATE '2020-01-01' + (i % 2000)::INTEGER AS day
        FROM range({rows}) AS t(i)"""  # noqa: S608 - numbers made here
    changed = f"""
        SELECT * REPLACE (
            CASE WHEN id = {rows // 2} THEN amount + 0.01 ELSE amount END AS amount,
            CASE WHEN id = 17 THEN 'x' ELSE name END AS name,
            CASE WHEN id = {rows // 3 // 11 * 11 + 1} THEN NULL ELSE kind END AS kind,
            CASE WHEN id = {rows - 1} THEN NOT flag ELSE flag END AS flag,
            CASE WHEN id = {rows // 5} THEN 0.5 ELSE score END AS score)
        FROM ({made})"""  # noqa: S608 - the query above
    with duckdb.connect() as db:
        db.execute(f"COPY ({made}) TO '{one}' (HEADER)")
        db.execute(f"COPY ({changed}) TO '{other}' (HEADER)")
    return one, other
