"""How fast the scan and the stream filter are, next to detect-secrets and betterleaks.

`python benchmarks/secrets_speed.py` makes a log of `--mib` (200), Parquet and SQLite files
of `--table-mib` (300) and a folder of 10,000 small files, and prints throughput per core and
peak memory, each scan in a process of its own: of it, or of a process that it starts, whichever
is larger (the scan starts none). detect-secrets gets 1 MiB of the log and betterleaks 20 MiB,
for they are slow.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import resource
import shutil
import sqlite3
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from harness.redaction import Redactor, StreamFilter
from harness.redaction.known import KnownValues
from harness.redaction.scan import Scanner, ScanResult
from harness.redaction.search import SEARCH_MARKS, search
from harness.redaction.sighting import Sight
from harness.secret_values import Secret

MIB = 1024 * 1024
FILES = 10_000
ONE_GROUP = "COMPRESSION zstd, ROW_GROUP_SIZE 1_000_000_000"
_WHO = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def secrets() -> list[Secret]:
    drawn = random.Random(1)  # noqa: S311 - the same in each run
    letters = string.ascii_letters + string.digits + "/+&'\""
    return [Secret(f"S{n}", "".join(drawn.choices(letters, k=32))) for n in range(40)]


def log_block(seed: int) -> bytes:
    drawn = random.Random(seed)  # noqa: S311 - the same in each run
    lines = []
    while sum(map(len, lines)) < MIB:
        for _ in range(500):
            n = drawn.randrange(10**6)
            lines += [
                f'{{"ts": "2026-01-01T00:00:00.{n:06d}Z", "event": "step_complete", "rows": {n}}}',
                f"2026-01-01 12:00:00 INFO osiris.core.runner: step extract-{n} took {n} ms",
                f"DEBUG file written: sha256:{drawn.getrandbits(256):064x}, {n} bytes",
                "INFO waiting for the upstream frame; nothing to do for this step yet",
                f"INFO sandbox i{drawn.getrandbits(90):018x} answers in {n} us",
            ]
    return "\n".join(lines).encode()[:MIB]


def search_once(path: Path) -> None:
    known = KnownValues(secrets())
    with path.open("rb") as file:
        while block := file.read(MIB):
            known.spans(block)


def search_all_passes(path: Path) -> None:
    sight = Sight(KnownValues(secrets()), SEARCH_MARKS)
    with path.open("rb") as file:
        while block := file.read(MIB):
            search(sight, block)


def scan_known(path: Path) -> None:
    _scan(path, detect=False)


def scan_all(path: Path) -> None:
    _scan(path, detect=True)


def _scan(path: Path, *, detect: bool) -> None:
    result = ScanResult()
    Scanner(secrets(), detect=detect).scan_file(path, result, shown="log")
    if result.findings or result.incomplete:
        raise SystemExit(f"found {result.findings[:3]}, incomplete {result.incomplete}")


def scan_leaky(path: Path) -> None:
    result = ScanResult()
    Scanner(secrets()).scan_file(path, result, shown="log")
    if not result.findings or result.incomplete:
        raise SystemExit(f"{len(result.findings)} found, incomplete {result.incomplete}")


def filter_stream(path: Path) -> None:
    stream = StreamFilter(Redactor(secrets()))
    with path.open("rb") as file:
        while block := file.read(64 * 1024):
            stream.feed(block)
    stream.close()


def large_parquet(path: Path, mebibytes: int, options: str = "COMPRESSION snappy") -> Path:
    """By a process of its own, that its memory is not counted here."""
    columns = "hash(i)::VARCHAR || hash(i * 7) AS a, uuid()::VARCHAR AS b, md5(i::VARCHAR) AS c"
    query = (
        f"COPY (SELECT i, {columns} FROM range({mebibytes * 11_000}) r(i)) "  # noqa: S608 - ours
        f"TO '{path}' (FORMAT parquet, {options})"
    )
    code = "import duckdb, sys; duckdb.execute('SET threads = 1'); duckdb.execute(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, query], check=True, capture_output=True)
    return path


def large_sqlite(path: Path, mebibytes: int) -> Path:
    filler = "a row of a table with words in it " * 7
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE t (id INTEGER, a TEXT)")
        rows = ((number, f"{number} {filler}") for number in range(mebibytes * 4100))
        database.executemany("INSERT INTO t VALUES (?, ?)", rows)
        database.commit()
    return path


def command_line(path: Path) -> None:
    command = [sys.executable, "-m", "harness", "secrets", "scan", str(path)]
    subprocess.run(command, check=True, capture_output=True, cwd=path.parent)


def scan_folder(path: Path) -> None:
    result = ScanResult()
    Scanner(secrets()).scan_folder(path, result)
    if result.files < FILES:
        raise SystemExit("not every file was read")


def detect_secrets(path: Path) -> None:
    from detect_secrets.core.scan import scan_file  # noqa: PLC0415 - not paid for by the others
    from detect_secrets.settings import default_settings  # noqa: PLC0415

    with default_settings():
        list(scan_file(str(path)))


def betterleaks(path: Path) -> None:
    program = shutil.which("betterleaks", path=str(Path(sys.executable).parent)) or "betterleaks"
    command = [program, str(path), "--exit-code=0", "--silent"]
    subprocess.run(command, check=True, capture_output=True)


def _measured(
    work: Callable[[Path], None], path: Path, queue: multiprocessing.Queue[object]
) -> None:
    before, began = _cpu_s(), time.perf_counter()
    work(path)
    took, cpu = time.perf_counter() - began, _cpu_s() - before
    peak = max(resource.getrusage(who).ru_maxrss for who in _WHO) / 1024
    queue.put((took, cpu, peak))


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in _WHO]
    return sum(u.ru_utime + u.ru_stime for u in used)


def measured(work: Callable[[Path], None], path: Path) -> tuple[float, float, float] | None:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_measured, args=(work, path, queue))
    process.start()
    process.join()
    return queue.get() if process.exitcode == 0 else None


def _log(path: Path, mebibytes: int) -> Path:
    blocks = [log_block(seed) for seed in range(8)]
    with path.open("wb") as file:
        for number in range(mebibytes):
            file.write(blocks[number % len(blocks)])
    return path


def _leaky(path: Path, mebibytes: int) -> Path:
    lines = log_block(1).split(b"\n")
    value = secrets()[0].reveal().encode()
    with path.open("wb") as file:
        while file.tell() < mebibytes * MIB:
            file.writelines(b"%s %s\n" % (line, value) for line in lines)
    return path


def _mebibytes(path: Path) -> int:
    return path.stat().st_size // MIB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=200)
    parser.add_argument("--table-mib", type=int, default=300)
    options = parser.parse_args()
    size, table = options.mib, options.table_mib
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        log = _log(root / "run.log", size)
        parquet = large_parquet(root / "run.parquet", table)
        group = large_parquet(root / "group.parquet", table // 4, ONE_GROUP)
        sqlite = large_sqlite(root / "run.sqlite", table)
        rows: list[tuple[str, Callable[[Path], None], Path, int, str]] = [
            ("one pass, every form of every value", search_once, log, size, ">= 300"),
            ("all passes: joined lines, layers to 3", search_all_passes, log, size, ">= 120"),
            ("the whole scan, known values", scan_known, log, size, ">= 120"),
            ("the whole scan with detectors", scan_all, log, size, ""),
            ("stream filter", filter_stream, log, size, ">= 100"),
            (f"Parquet of {_mebibytes(parquet)} MiB", scan_known, parquet, _mebibytes(parquet), ""),
            ("the same, one row group", scan_known, group, _mebibytes(group), ""),
            (f"SQLite of {_mebibytes(sqlite)} MiB", scan_known, sqlite, _mebibytes(sqlite), ""),
            ("harness secrets scan, the Parquet", command_line, parquet, _mebibytes(parquet), ""),
            ("harness secrets scan, the log", command_line, log, size, ""),
            ("a value on every line", scan_leaky, _leaky(root / "leaky.log", 8), 8, ""),
            ("detect-secrets", detect_secrets, _log(root / "1.log", 1), 1, ""),
            ("betterleaks", betterleaks, _log(root / "20.log", 20), 20, ""),
        ]
        print(f"{'':42} {'MiB/s':>8} {'of CPU':>8} {'MiB peak':>9}  wanted")
        for name, work, path, mebibytes, wanted in rows:
            figures = measured(work, path)
            if figures is None:
                print(f"{name:42} failed")
                continue
            took, cpu, peak = figures
            print(f"{name:42} {mebibytes / took:8.1f} {mebibytes / cpu:8.1f} {peak:9.0f}  {wanted}")
        small = root / "small"
        for number in range(FILES):
            path = small / f"{number % 100}" / f"{number}.log"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"2026-01-01 INFO a line of a small file, as a run leaves many\n" * 20)
        figures = measured(scan_folder, small)
        if figures is not None:
            took, cpu, peak = figures
            name = "10,000 small files"
            print(f"{name:42} {took:7.1f}s {cpu:7.1f}s {peak:9.0f}  <= 5 s")


if __name__ == "__main__":
    main()
