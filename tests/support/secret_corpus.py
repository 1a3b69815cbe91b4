"""A corpus by seed: fake secrets of twelve kinds, in every encoding, in ten kinds of file.

The encoders are those that programs use, not the scan's own table. Nothing in here
looks like a secret before it runs.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import html
import io
import json
import pickle
import quopri
import random
import shlex
import sqlite3
import string
import tarfile
import uuid
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from harness.secret_values import Secret

__all__ = ["ENCODINGS", "FILES", "KINDS", "Planted", "benign_lines", "fake_secrets", "plant"]

Draw = random.Random
_LETTERS = string.ascii_letters + string.digits


def _of(drawn: Draw, characters: str, length: int) -> str:
    return "".join(drawn.choices(characters, k=length))


def _jwt(drawn: Draw) -> str:
    part = base64.urlsafe_b64encode(json.dumps({"sub": _of(drawn, _LETTERS, 24)}).encode())
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').decode().rstrip("=")
    return f"{head}.{part.decode().rstrip('=')}.{_of(drawn, _LETTERS + '-_', 43)}"


KINDS: dict[str, Callable[[Draw], str]] = {
    "e2b key": lambda d: "e2b_" + _of(d, "0123456789abcdef", 40),
    "openai key": lambda d: "sk-" + "proj-" + _of(d, _LETTERS, 48),
    "anthropic key": lambda d: "sk-" + "ant-api03-" + _of(d, _LETTERS + "-_", 80),
    "github token": lambda d: "gh" + "p_" + _of(d, _LETTERS, 36),
    "aws key": lambda d: _of(d, _LETTERS + "+/", 40),
    "jwt": _jwt,
    "slack token": lambda d: "xo" + "xb-" + _of(d, string.digits, 12) + "-" + _of(d, _LETTERS, 24),
    "password": lambda d: _of(d, _LETTERS, 10) + _of(d, "!@#$%^&*'\"<>/=+ ", 4),
    "passphrase": lambda d: " ".join(_of(d, string.ascii_lowercase, 6) for _ in range(4)),
    "unicode": lambda d: _of(d, _LETTERS + "éüčžß€", 16) + "é",
    "uuid": lambda d: str(uuid.UUID(int=d.getrandbits(128))),
    "short": lambda d: _of(d, _LETTERS, 8) + "#1",
}


def fake_secrets(seed: int, count: int = 60) -> list[tuple[str, Secret]]:
    """Secrets, of each kind the same number, with their kinds."""
    drawn = random.Random(seed)  # noqa: S311 - the same in each run
    kinds = list(KINDS)
    return [
        (kind, Secret(f"SECRET_{number:02}", KINDS[kind](drawn)))
        for number, kind in ((n, kinds[n % len(kinds)]) for n in range(count))
    ]


def _tar(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("inner")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _zip(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner", data)
    return buffer.getvalue()


# From a value to text or bytes that stand in a file.
ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "json": lambda v: json.dumps({"field": v}).encode(),
    "xml": lambda v: html.escape(v).encode(),
    "url": lambda v: quote(v, safe="").encode(),
    "url, lower": lambda v: "".join(
        c if c.isascii() and c.isalnum() else "".join(f"%{b:02x}" for b in c.encode()) for c in v
    ).encode(),
    "url twice": lambda v: quote(quote(v, safe=""), safe="").encode(),
    "base64 +0": lambda v: base64.b64encode(v.encode() + b"yy"),
    "base64 +1": lambda v: base64.b64encode(b"x" + v.encode() + b"yy"),
    "base64 +2": lambda v: base64.b64encode(b"xx" + v.encode() + b"yy"),
    "base64 url": lambda v: base64.urlsafe_b64encode(v.encode()).rstrip(b"="),
    "base64 at 76": lambda v: base64.encodebytes(b"x" * 50 + v.encode() + b"y" * 60),
    "hex": lambda v: binascii.hexlify(v.encode()),
    "HEX": lambda v: binascii.hexlify(v.encode()).upper(),
    "hex, separated": lambda v: binascii.hexlify(v.encode(), ":"),
    "utf-16": lambda v: v.encode("utf-16-le"),
    "reversed": lambda v: v[::-1].encode(),
    "quoted-printable": lambda v: quopri.encodestring(v.encode(), quotetabs=True),
    "shell": lambda v: shlex.quote(v).encode(),
    "over lines": lambda v: f"{v[: len(v) // 3]}\n{v[len(v) // 3 :]}".encode(),
    "over records": lambda v: "\n".join(
        json.dumps({"t": 1, "chunk": part}, ensure_ascii=False)
        for part in (v[: len(v) // 2], v[len(v) // 2 :])
    ).encode(),
    "base64 of gzip": lambda v: base64.b64encode(gzip.compress(v.encode())),
    "base64 of base64": lambda v: base64.b64encode(base64.b64encode(v.encode())),
    "base64 of json": lambda v: base64.b64encode(json.dumps({"k": v}).encode()),
    "hex of base64": lambda v: binascii.hexlify(base64.b64encode(v.encode())),
    "url of json": lambda v: quote(json.dumps({"k": v}), safe="").encode(),
    "base64 of gzip of json": lambda v: base64.b64encode(
        gzip.compress(json.dumps({"k": v}).encode())
    ),
}


def _sqlite(data: bytes) -> bytes:
    with sqlite3.connect(":memory:") as database:
        database.execute("CREATE TABLE t (x)")
        database.execute("INSERT INTO t VALUES (?)", [b"y" * 4000 + data + b"z" * 5000])
        return database.serialize()


# Kinds of file; each puts bytes where it has room for them.
FILES: dict[str, Callable[[bytes], bytes]] = {
    "log": lambda d: b"2026-01-01 INFO a line\n2026-01-01 INFO got " + d + b" here\nlast\n",
    "jsonl": lambda d: b'{"event": "x"}\n{"raw": "' + d + b'", "n": 1}\n',
    "csv": lambda d: b"id,value\n1," + d + b",2\n",
    "junit.xml": lambda d: b"<testsuite><system-out>" + d + b"</system-out></testsuite>\n",
    "notebook": lambda d: b'{"cells": [{"source": ["x = ' + d + b'"]}], "nbformat": 4}',
    "log.gz": lambda d: gzip.compress(b"a line\n" + d + b"\n"),
    "zip": lambda d: _zip(b"a line\n" + d + b"\n"),
    "zip in tar": lambda d: _tar(_zip(d)),
    "sqlite": _sqlite,
    "pickle": lambda d: pickle.dumps({"value": b" ".join((b"x", d, b"y"))}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One secret in one file.

    Attributes:
        kind: of the secret.
        encoding: how it is written.
        file: the kind of file.
        secret: the secret.
        content: the file.
    """

    kind: str
    encoding: str
    file: str
    secret: Secret
    content: bytes


def plant(seed: int, *, count: int = 60) -> Iterator[Planted]:
    """Every secret in every encoding in every kind of file."""
    for kind, secret in fake_secrets(seed, count):
        for encoding, encode in ENCODINGS.items():
            data = encode(secret.reveal())
            for file, put in FILES.items():
                yield Planted(
                    kind=kind, encoding=encoding, file=file, secret=secret, content=put(data)
                )


def benign_lines(seed: int, count: int = 100_000) -> Iterator[bytes]:
    """Lines without a secret that look like some."""
    d = random.Random(seed)  # noqa: S311 - the same in each run
    makers: tuple[Callable[[], str], ...] = (
        lambda: json.dumps({"id": str(uuid.UUID(int=d.getrandbits(128))), "n": d.randrange(9999)}),
        lambda: f"sha256:{d.getrandbits(256):064x}  commit {d.getrandbits(160):040x}",
        lambda: f"<img src='data:image/png;base64,{base64.b64encode(d.randbytes(90)).decode()}'/>",
        lambda: f'sandbox i{_of(d, _LETTERS.lower(), 19)} etag="{d.getrandbits(64):x}" token=***',
        lambda: f"var a={d.randrange(9)};function(b,c){{return b[c]||c(b,{d.randrange(99)})}}",
        lambda: "mysql://***@host/db password: ${MYSQL_PASSWORD} <secret:E2B_API_KEY>",
        lambda: f"integrity sha512-{base64.b64encode(d.randbytes(64)).decode()}",
        lambda: f"2026-01-01 INFO step extract-{d.randrange(99)} rows={d.randrange(10**6)}",
        lambda: f"{quote(_of(d, _LETTERS + '/ &=', 30))}&page={d.randrange(99)}",
        lambda: base64.b64encode(
            json.dumps({"n": d.randrange(10**9), "ok": True}).encode()
        ).decode(),
    )
    for number in range(count):
        yield makers[number % len(makers)]().encode()
