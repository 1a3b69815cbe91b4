"""Which encodings in each other the scan misses.

`python benchmarks/secrets_chains.py` writes five values in every chain of two encodings, and with
`--depth 3` in `--sample` (4,000) chains drawn by seed, one text a file, and prints how many
texts were scanned and each chain in which a value was missed. The encoders are those that
programs use, not the scan's own. What cannot be written so (UTF-16 of gzip) is left out.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import bz2
import gzip
import html
import io
import itertools
import json
import lzma
import quopri
import random
import shlex
import zipfile
import zlib
from collections.abc import Callable, Iterable
from urllib.parse import quote

from harness.redaction.scan import Scanner, ScanResult
from harness.secret_values import Secret

SEED = 5


def values() -> tuple[Secret, ...]:
    return (
        Secret("ODD", "p4ss'w\"rd&<é/%+=x"),
        Secret("TOKEN", "tok-" + "7f3a9c" * 4),
        Secret("SHORT", "hunter" + "2Z"),
        Secret("SPACED", "correct horse battery 9 " + "staple"),
        Secret("HEXKEY", "e2b_" + "0123456789abcdef" * 2 + "01234567"),
    )


def zipped(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/b.txt", data)
    return buffer.getvalue()


def cells(data: bytes) -> bytes:
    """As csv.writer quotes a text."""
    quoted = data.decode().replace('"', '""')
    return f'a,"{quoted}",c'.encode()


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "base64": base64.b64encode,
    "base64 url": lambda data: base64.urlsafe_b64encode(data).rstrip(b"="),
    "base64 at 76": base64.encodebytes,
    "hex": binascii.hexlify,
    "HEX": lambda data: binascii.hexlify(data).upper(),
    "hex, separated": lambda data: binascii.hexlify(data, ":"),
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zip": zipped,
    "json": lambda data: json.dumps({"field": data.decode()}).encode(),
    "json, raw": lambda data: json.dumps({"field": data.decode()}, ensure_ascii=False).encode(),
    "xml": lambda data: f'<a b="{html.escape(data.decode())}"/>'.encode(),
    "url": lambda data: quote(data, safe="").encode(),
    "url path": lambda data: quote(data).encode(),
    "quoted-printable": lambda data: quopri.encodestring(data, quotetabs=True),
    "utf-16": lambda data: data.decode().encode("utf-16-le"),
    "utf-16, marked": lambda data: b"\xfe\xff" + data.decode().encode("utf-16-be"),
    "text literal": lambda data: repr(data.decode()).encode(),
    "bytes literal": lambda data: repr(data).encode(),
    "shell": lambda data: f"echo {shlex.quote(data.decode())}".encode(),
    "csv": cells,
}


def encoded(value: str, chain: Iterable[str]) -> bytes | None:
    """None where an encoding of texts would have to write bytes that are none."""
    data = value.encode()
    try:
        for name in chain:
            data = ENCODERS[name](data)
    except UnicodeDecodeError:
        return None
    return data


def chains(depth: int, sample: int) -> list[tuple[str, ...]]:
    every = list(itertools.product(ENCODERS, repeat=depth))
    drawn = random.Random(SEED)  # noqa: S311 - the same in each run
    return drawn.sample(every, sample) if 0 < sample < len(every) else every


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--sample", type=int, default=4000, help="0 for every chain")
    options = parser.parse_args()
    secrets = values()
    scanner = Scanner(secrets, detect=False)
    texts, missed = 0, []
    for chain in chains(options.depth, options.sample):
        for secret in secrets:
            data = encoded(secret.reveal(), chain)
            if data is None:
                continue
            texts += 1
            result = ScanResult()
            scanner.scan_bytes(data, result, shown="text")
            if secret.name not in {finding.kind for finding in result.findings}:
                missed.append((chain, secret.name))
    print(f"chains of {options.depth}: {texts} texts, {len(missed)} missed")
    for chain, name in missed:
        print(f"  {name}: {', in '.join(chain)}")


if __name__ == "__main__":
    main()
