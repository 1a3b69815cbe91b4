"""How fast events are normalised and compared.

`python benchmarks/parity_events.py` makes two logs of `--lines` (1,000,000) lines each, as two
runs of one pipeline write them (other session, times, durations; one line differs), in files,
and measures reading, normalising and comparing. `json.loads` of the same lines is the baseline.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from measuring import show
from parity_measured import measured, report

from harness.model.evidence import Evidence
from harness.model.run import ExecResult
from harness.model.side import Side
from harness.parity.comparison import compare_evidence
from harness.parity.normalise import normalise_evidence
from harness.targets.osiris.evidence import read_records

LINES = 1_000_000
SESSIONS = ("20261123_050000_aabbccdd", "20261123_060000_11223344")


def log(session: str, hour: int) -> Iterator[str]:
    """Lines of five kinds, one with text that no other line has."""
    number = 0
    while True:
        ts = f"2026-11-23T{hour:02d}:{number // 60_000 % 60:02d}:{number // 1000 % 60:02d}"
        step = {"step_id": f"step-{number % 50}", "session": session}
        stamp = {"ts": f"{ts}.{number % 1000:03d}{hour:03d}+00:00"}
        for told in (
            {"event": "step_start", "driver": "duckdb.processor"},
            {"event": "rows_read", "rows": number, "path": f"/data/{session}/part-{number}.csv"},
            {"event": "log", "message": f"INFO batch {number} took {number % 97 / 7:.3f} s"},
            {"event": "progress", "value": number * 1.5, "duration_ms": number % 100 + hour},
            {"event": "step_complete", "rows": number, "output": {"table": f"t{number % 10}"}},
        ):
            yield json.dumps({**stamp, **step, **told})
        number += 1


def write(path: Path, lines: int, side: int) -> None:
    with path.open("w") as file:
        for number, line in zip(range(lines), log(SESSIONS[side], 5 + side), strict=False):
            told = line.replace("duckdb", "mysql") if side and number == lines // 10 * 5 else line
            file.write(f"{told}\n")


def by_parity(folder: Path) -> dict[str, float]:
    marks = [time.process_time()]
    sides = [
        Evidence(
            pipeline="log",
            side=side,
            result=ExecResult(success=True, exit_code=0, duration_s=1.0),
            events=read_records(folder / f"{number}.jsonl"),
            metrics=None,
            status=None,
            files=(),
            volatile={SESSIONS[number]: "<session>"},
        )
        for number, side in enumerate((Side.LOCAL, Side.E2B))
    ]
    marks.append(time.process_time())
    normal = [normalise_evidence(side) for side in sides]
    marks.append(time.process_time())
    found = len(compare_evidence(*normal))
    marks.append(time.process_time())
    parts = zip(("read", "normalised", "compared"), marks, marks[1:], strict=False)
    return {"found": found, **{name: after - before for name, before, after in parts}}


def by_json(folder: Path) -> int:
    return sum(
        len(json.loads(line)) > 0
        for number in (0, 1)
        for line in (folder / f"{number}.jsonl").read_bytes().split(b"\n")[:-1]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=LINES, help="of each side")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--work", choices=["parity", "json"], help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.work:
        report(lambda: (by_parity if asked.work == "parity" else by_json)(asked.folder))
        return
    with tempfile.TemporaryDirectory(prefix="parity-events-") as folder:
        for side in (0, 1):
            write(Path(folder, f"{side}.jsonl"), asked.lines, side)
        words = [sys.executable, __file__, "--folder", folder, "--work"]
        ours, plain = measured([*words, "parity"]), measured([*words, "json"])
    parts = ours.said
    if not isinstance(parts, dict):
        raise TypeError("no parts were told")
    both = parts["normalised"] + parts["compared"]
    show(
        f"two logs of {asked.lines:,} lines each, {parts['found']:.0f} line differs",
        [
            ("normalised and compared, CPU", f"{2 * asked.lines / both:,.0f} lines/s", "100,000"),
            ("as pairs of lines", f"{asked.lines / both:,.0f} pairs/s", ""),
            ("read from files", f"{2 * asked.lines / parts['read']:,.0f} lines/s", ""),
            ("json.loads alone", f"{2 * asked.lines / plain.cpu_s:,.0f} lines/s", "(baseline)"),
            ("normalised and compared to json.loads", f"{both / plain.cpu_s:.2f} times", ""),
            ("peak memory", f"{ours.peak_mib:,.0f} MiB", ""),
        ],
    )


if __name__ == "__main__":
    main()
