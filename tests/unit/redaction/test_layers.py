"""Encodings in each other are taken off one by one, wherever they stand."""

import base64
import binascii
import bz2
import gzip
import html
import itertools
import json
import lzma
import quopri
import random
import shlex
import zlib
from collections.abc import Callable
from urllib.parse import quote

import pytest

from harness.redaction import unescape
from harness.redaction.scan import Scanner, ScanResult
from harness.secret_values import Secret

VALUES = (
    Secret("ODD", "p4ss'w\"rd&<é/%+=x"),  # pragma: allowlist secret
    Secret("TOKEN", "tok-" + "7f3a9c" * 4),
    Secret("SHORT", "hunter2Z"),
)
SCANNER = Scanner(VALUES, detect=False)
Encode = Callable[[bytes], bytes]
ENCODERS: dict[str, Encode] = {
    "base64": base64.b64encode,
    "base64 for URLs": base64.urlsafe_b64encode,
    "base64, wrapped": base64.encodebytes,
    "hex": binascii.hexlify,
    "HEX": lambda data: binascii.hexlify(data).upper(),
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "hex, separated": lambda data: binascii.hexlify(data, ":"),
    "python": lambda data: repr(data).encode(),
    "utf-16": lambda data: data.decode().encode("utf-16-le"),
    "shell": lambda data: f"echo {shlex.quote(data.decode())}".encode(),
    "json": lambda data: json.dumps({"field": data.decode()}).encode(),
    "url": lambda data: quote(data, safe="").encode(),
    "quoted-printable": lambda data: quopri.encodestring(data, quotetabs=True),
}
COMPRESSORS: dict[str, Encode] = {
    "bz2": bz2.compress,
    "gzip": gzip.compress,
    "lzma": lzma.compress,
    "zlib": zlib.compress,
}
BINARY = {"bzip2", "gzip", "utf-16", "xz", "zlib"}
SURROUNDINGS: dict[str, Encode] = {
    "nothing": lambda data: data,
    "a log": lambda data: b"2026-01-01 INFO run\nfound " + data + b" there\nend",
    "a field": lambda data: b'key="' + data + b'",\nnext',
    "words": lambda data: b"word\n" + data + b"\nword more",
}


def found(content: bytes, scanner: Scanner = SCANNER) -> set[str]:
    result = ScanResult()
    scanner.scan_bytes(content, result, shown="file")
    return {finding.kind for finding in result.findings}


def chains(depth: int) -> list[tuple[str, ...]]:
    """Text cannot be taken out of bytes that are none, so JSON holds no gzip."""
    return [
        chain
        for chain in itertools.product(ENCODERS, repeat=depth)
        if not any(
            inner in BINARY and outer in {"json", "utf-16", "shell"}
            for inner, outer in itertools.pairwise(chain)
        )
    ]


def encoded(value: str, chain: tuple[str, ...]) -> bytes:
    data = value.encode()
    for name in chain:
        data = ENCODERS[name](data)
    return data


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("around", SURROUNDINGS)
def test_layers_every_chain_in_every_surrounding_is_found(depth: int, around: str) -> None:
    """Every encoding of every encoding of every value: nothing is missed."""
    missed = [
        (chain, secret.name)
        for chain in chains(depth)
        for secret in VALUES
        if around == "nothing" or chain[-1] not in BINARY
        if secret.name not in found(SURROUNDINGS[around](encoded(secret.reveal(), chain)))
    ]
    assert missed == []


def test_layers_three_deep_sample_is_found() -> None:
    """Of the thousand chains of three, two hundred drawn by seed: nothing is missed."""
    drawn = random.Random(20260101)  # noqa: S311 - the same sample in each run
    missed = [
        (chain, secret.name)
        for chain in drawn.sample(chains(3), 200)
        for secret in VALUES
        if secret.name not in found(encoded(secret.reveal(), chain))
    ]
    assert missed == []


@pytest.mark.parametrize("compress", ["bz2", "gzip", "lzma", "zlib"])
def test_layers_compressed_bytes_in_base64_are_unpacked(compress: str) -> None:
    """Whatever compressed them, and also where a block border cuts the base64."""
    secret = VALUES[1]
    noise = random.Random(1).randbytes(1_500_000)  # noqa: S311 - what does not compress
    for content in (secret.reveal().encode(), noise + secret.reveal().encode()):
        packed = base64.b64encode(COMPRESSORS[compress](content))
        if compress in {"bz2", "lzma"} and len(packed) > 1_000_000:
            continue  # more than is decoded of one block; the scan says so
        assert found(b'{"file": "' + packed + b'"}') == {secret.name}


def test_layers_bomb_in_base64_is_incomplete_and_bounded() -> None:
    """A small text that unpacks to 64 MiB is given up, and said so; what came before it counts."""
    content = VALUES[1].reveal().encode() + bytes(64 * 1024**2)
    result = ScanResult()
    SCANNER.scan_bytes(base64.b64encode(gzip.compress(content)), result, shown="bomb")
    assert {finding.kind for finding in result.findings} == {"TOKEN"}
    assert "encodings" in result.incomplete[0].reason


def quoted_printable(data: bytes) -> bytes:
    """Without soft breaks, every byte as a number."""
    return b"=3D" + b"".join(b"=%02X" % byte for byte in data)


@pytest.mark.parametrize("rule", sorted(unescape.UNESCAPERS))
def test_layers_without_one_unescaping_miss_something(
    rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each rule is needed: the control of the tests above."""
    monkeypatch.delitem(unescape.UNESCAPERS, rule)
    odd = VALUES[0].reveal()
    escaped = odd
    for _ in range(4):  # twice is a form of its own
        escaped = json.dumps(escaped)[1:-1]
    texts = {
        "shell": shlex.quote(odd[::-1]).encode(),
        "csv": shlex.quote(odd).replace('"', '""').encode(),
        "url": encoded(odd, ("json", "url")),
        "json": escaped.encode(),
        "xml": html.escape(html.escape(html.escape(odd))).encode(),
        "quoted-printable": quoted_printable(json.dumps(odd).replace("=", "\\u003d").encode()),
        "colours": "".join(f"\x1b[3{n % 7}m{char}\x1b[0m" for n, char in enumerate(odd)).encode(),
    }
    assert found(texts[rule]) == set()
    monkeypatch.undo()
    assert found(texts[rule]) == {"ODD"}
