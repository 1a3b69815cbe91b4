"""How fast two CSV files are compared, next to datacompy on pandas.

`python benchmarks/parity_datacompy.py` makes two files of `--rows` (1,000,000) rows and ten
columns in which five cells differ. datacompy reads both with pandas and joins them on `id`;
it is installed for the run by uv (`uv run --with`), and is no part of this project.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from measuring import show
from parity_measured import measured, tables

ROWS = 1_000_000
DATACOMPY = """
import json, resource, sys, time
import datacompy, pandas
wall, cpu = time.perf_counter(), time.process_time()
frames = [pandas.read_csv(path) for path in sys.argv[1:]]
compare = getattr(datacompy, "PandasCompare", None) or datacompy.Compare
found = compare(frames[0], frames[1], join_columns="id")
found.report()
print(json.dumps({
    "wall_s": time.perf_counter() - wall,
    "cpu_s": time.process_time() - cpu,
    "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "said": int(sum(item["unequal_cnt"] for item in found.column_stats)),
}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="parity-tables-") as folder:
        one, other = tables(Path(folder), asked.rows)
        script = Path(folder, "with_datacompy.py")
        script.write_text(DATACOMPY)
        by_parity = Path(__file__).with_name("parity_tables.py")
        ours = measured([sys.executable, str(by_parity), "--folder", folder, "--work", "parity"])
        uv = ["uv", "run", "--quiet", "--no-project", "--python", sys.executable]
        uv += ["--with", "datacompy", "--with", "pandas", "python"]
        theirs = measured([*uv, str(script), str(one), str(other)])
    ratio = f"{theirs.wall_s / ours.wall_s:.1f} times ({theirs.cpu_s / ours.cpu_s:.1f} times CPU)"
    show(
        f"two CSV files of {asked.rows:,} rows, 10 columns, 5 cells that differ",
        [
            ("parity", f"{ours.told()}; {ours.said} cells", ""),
            ("datacompy on pandas", f"{theirs.told()}; {theirs.said} cells", ""),
            ("parity is faster", ratio, "at least 5 times"),
        ],
    )


if __name__ == "__main__":
    main()
