"""The scan's own test, in every run: each form is planted and must be found.

A scan that finds nothing proves something only if it would have found it. The
forms are made by the encoders that programs really use, not from the scan's own
table, so that a fault in the table shows.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import html
import io
import json
import pickle
import quopri
import shlex
import sqlite3
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from contextlib import closing
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape, quoteattr

from harness.redaction.scan import Scanner, ScanResult
from harness.redaction.strength import Strength, strength
from harness.secret_values import Secret

__all__ = ["BENIGN", "FILES", "PLANTS", "blind_spots"]


def _tar(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo("inner/log.txt")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _zip(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner/log.txt", content)
    return buffer.getvalue()


def _sqlite(value: str) -> bytes:
    """In a cell that lies over the border of two pages."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE t (x)")
        database.execute("INSERT INTO t VALUES (?)", ["y" * 4060 + value + "z" * 9000])
        database.commit()
        return database.serialize()


def _base64_at(offset: int, *, urlsafe: bool = False) -> Callable[[str], bytes]:
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    return lambda value: encode(b"x" * offset + value.encode() + b"tail")


PLANTS: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "json": lambda value: json.dumps({"field": value}).encode(),
    "json, unicode kept": lambda value: json.dumps([value], ensure_ascii=False).encode(),
    "json in json": lambda value: json.dumps(json.dumps({"field": value})).encode(),
    "xml text": lambda value: escape(value).encode(),
    "xml attribute": lambda value: quoteattr(value).encode(),
    "html": lambda value: html.escape(value).encode(),
    "url": lambda value: quote(value, safe="").encode(),
    "url path": lambda value: quote(value).encode(),
    "url form": lambda value: quote_plus(value).encode(),
    "url twice": lambda value: quote(quote(value, safe=""), safe="").encode(),
    **{f"base64 at {offset}": _base64_at(offset) for offset in range(3)},
    **{f"base64 for URLs at {offset}": _base64_at(offset, urlsafe=True) for offset in range(3)},
    "base64 wrapped": lambda value: base64.encodebytes(b"x" * 50 + value.encode() + b"tail" * 10),
    "hex": lambda value: binascii.hexlify(value.encode()),
    "hex, upper case": lambda value: binascii.hexlify(value.encode()).upper(),
    "hex, separated": lambda value: binascii.hexlify(value.encode(), ":"),
    "utf-16": lambda value: value.encode("utf-16-le"),
    "reversed": lambda value: value[::-1].encode(),
    "quoted-printable": lambda value: quopri.encodestring(value.encode(), quotetabs=True),
    "shell": lambda value: shlex.quote(value).encode(),
    "python": lambda value: repr(value).encode(),
    "csv": lambda value: ('"' + value.replace('"', '""') + '"').encode(),
    "over two lines": lambda value: f"{value[:3]}\n{value[3:]}".encode(),
    "over two records": lambda value: "".join(
        "\n" + json.dumps({"part": part}, ensure_ascii=False)
        for part in (value[: len(value) // 2], value[len(value) // 2 :], "\n")
    ).encode(),
    "over two literals": lambda value: f"('{value[:4]}'\n + '{value[4:]}')".encode(),
    "base64 of gzip": lambda value: base64.b64encode(gzip.compress(value.encode())),
    "base64 of base64": lambda value: base64.b64encode(base64.b64encode(value.encode())),
    "hex of base64": lambda value: binascii.hexlify(base64.b64encode(value.encode())),
    "url of json": lambda value: quote(json.dumps({"field": value}), safe="").encode(),
    "base64 of gzip of json": lambda value: base64.b64encode(
        gzip.compress(json.dumps({"field": value}).encode())
    ),
    "pickle": lambda value: pickle.dumps({"field": [value]}),
    "sqlite": _sqlite,
    "gzip": lambda value: gzip.compress(f"a line\n{value}\n".encode()),
    "zip": lambda value: _zip(f"a line\n{value}\n".encode()),
    "tar": lambda value: _tar(f"a line\n{value}\n".encode()),
    "zip in tar": lambda value: _tar(_zip(value.encode())),
}

# Those that are a file of their own; the others stand in a text.
FILES = frozenset({"gzip", "zip", "tar", "zip in tar", "pickle", "sqlite"})

# Half of a shorter value is everywhere: only where records share it is it looked for.
_HALVED_MIN = 8

_HEX = hashlib.sha256(b"planted").hexdigest()
_JWT_PART = base64.urlsafe_b64encode(b'{"planted": "%s"}' % _HEX[:9].encode()).decode().strip("=")

# Made here, so that no file holds what looks like a secret.
DETECTABLE = {
    "e2b-key": f"e2b_{_HEX[:40]}",
    "jwt": f"{_JWT_PART}.{_JWT_PART}.{_HEX}",
    "github-token": f"ghp_{_HEX[:36]}",
    "aws-access-key": "AK" + "IA" + "ABCDEFGH" + "QRSTUVWX",
    "openai-key": f"sk-proj-{_HEX}",
    "private-key": "-----{} PRIVATE KEY-----\n{}\n-----{} PRIVATE KEY-----".format(
        "BEGIN", _HEX, "END"
    ),
    "connection-string": "mysql://user:{}@host/db".format("a-password"),
}

BENIGN = (
    b"2026-01-01T00:00:00.000Z INFO step_start run_01HZX pipeline=orders rows=1000\n"
    b'{"id": "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "md5": "9f86d081884c7d659a2feaa0c55ad015"}\n'
    b"commit 3f786850e387550fdab836ed7e6dc881de23001b; see https://e2b.dev/docs and a@b.example\n"
    b"data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk\n"
    b"mysql://***@host/db password=*** <secret:MYSQL_PASSWORD> E2B_API_KEY not set\n"
)


def blind_spots(scanner: Scanner, values: Iterable[Secret]) -> list[str]:
    """What the scanner does not find although it was planted; or finds where nothing is.

    Nothing is written to the disk, the values least of all.

    Returns:
        One description for each, such as "E2B_API_KEY as hex"; empty for a scanner that sees.
    """
    missed = [
        f"{secret.name} as {name}"
        for secret in values
        for name, plant in _plants(secret).items()
        if not _finds(scanner, b"before %s after" % plant, secret.name, name=name)
    ]
    if scanner.detects:
        missed += [
            kind
            for kind, value in DETECTABLE.items()
            if not _finds(scanner, f"<out>{value}</out>,".encode(), kind, name="plain")
        ]
    result = ScanResult()
    scanner.scan_bytes(BENIGN, result, shown="benign")
    wrong = [f"{finding.kind} in benign text" for finding in result.findings]
    return missed + wrong


def _plants(secret: Secret) -> dict[str, bytes]:
    value = secret.reveal()
    kind = strength(value) if value else Strength.PLACEHOLDER
    if kind is Strength.STRONG and _encodable(value):
        short = len(value) < _HALVED_MIN
        return {
            name: plant(value)
            for name, plant in PLANTS.items()
            if not (short and name == "over two literals")
        }
    if kind is Strength.WEAK:
        return {"its field": f"{secret.name}={value}".encode("utf-8", "surrogateescape")}
    return {}


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # bytes that are no UTF-8: their plain form alone has a test
        return False
    return True


def _finds(scanner: Scanner, planted: bytes, kind: str, *, name: str) -> bool:
    archive = name in FILES
    result = ScanResult()
    content = planted.removeprefix(b"before ").removesuffix(b" after") if archive else planted
    scanner.scan_bytes(content, result, shown="planted")
    return any(finding.kind == kind for finding in result.findings)
