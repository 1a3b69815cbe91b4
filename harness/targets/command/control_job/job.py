# ruff: noqa: INP001 - a program of its own, run by path
"""What the controls of parity run: writes a file of each kind, and prints a lot.

Some of it differs from run to run by nature: dates, durations, a name that is drawn, the
times in an archive. `job.py` succeeds, `job.py --fail` ends with exit code 3. Standard library
only.
"""

import email.utils
import json
import os
import secrets
import sqlite3
import sys
import time
import zipfile
from pathlib import Path

ROWS = 40
LINES = 1200  # more than 32 KiB of output

Path("out").mkdir()
with Path("out/table.csv").open("w", encoding="utf-8", newline="") as table:
    table.write("id,name,amount,count,moment,note\n")
    for n in range(1, ROWS + 1):
        note = "" if n % 7 == 0 else f'"é, ""{n}"""'
        table.write(
            f"{n},n{n},{n / 7:.6f},{n * n},2026-01-{n % 28 + 1:02d}T08:00:00.250+00:00,{note}\n"
        )
with Path("out/records.jsonl").open("w", encoding="utf-8") as lines:
    lines.writelines(json.dumps({"id": n, "half": n / 2}) + "\n" for n in range(ROWS))
Path("out/summary.json").write_text(json.dumps({"rows": ROWS, "total": 820, "ok": True}))
Path("out/data.bin").write_bytes(bytes(range(256)) * 8)
Path("out/notes.txt").write_text("first\nsecond\tthing\nthird\n")
Path("out/tool.sh").write_text("#!/bin/sh\necho hello\n")
Path("out/tool.sh").chmod(0o755)
Path("out/latest").symlink_to("notes.txt")
Path("out/empty").mkdir()
Path("input.txt").unlink()
Path(os.environ["HOME"], "seen.txt").write_text("here I was\n")
with zipfile.ZipFile("out/bundle.zip", "w", zipfile.ZIP_DEFLATED) as bundle:
    bundle.write("out/table.csv", "table.csv")
    bundle.write("out/notes.txt", "notes.txt")
with sqlite3.connect("out/state.db") as state:
    state.execute("CREATE TABLE seen (id INTEGER, amount)")
    state.executemany("INSERT INTO seen VALUES (?, ?)", ((n, n * n) for n in range(ROWS)))
    state.execute("CREATE INDEX by_amount ON seen (amount)")
state.close()
Path(f"out/part-{secrets.token_hex(4)}0.txt").write_text("drawn\nanew\n")
sys.stdout.write(
    f"{time.strftime('%Y/%m/%d %H:%M:%S')} up, {email.utils.formatdate(usegmt=True)}\n"
)
sys.stdout.write(f"took {time.process_time_ns() // 1000} ms\n")
for n in range(LINES):
    sys.stdout.write(f"line {n} of {LINES}: nothing to see here\n")
sys.stderr.write("one warning\n")
if sys.argv[1:] == ["--fail"]:
    sys.stderr.write("ValueError: no such table: orders\n")
    sys.exit(3)
