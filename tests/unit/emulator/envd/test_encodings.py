"""Content encodings."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.emulator.answers import ApiError
from harness.emulator.envd.encodings import (
    accepts_identity,
    choose_encoding,
    compressed,
    decompressed,
)


async def pieces(body: bytes, size: int = 11) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


def joined(chunks: AsyncIterator[bytes]) -> bytes:
    async def run() -> bytes:
        return b"".join([chunk async for chunk in chunks])

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("header", "encoding"),
    [
        ("", "identity"),
        ("gzip", "gzip"),
        ("GZip", "gzip"),
        ("gzip, deflate, br", "gzip"),
        ("identity, gzip;q=0.5", "identity"),
        ("gzip;q=0", "identity"),
        ("br", "identity"),
        ("*", "identity"),
        ("identity;q=0, *", "gzip"),
        ("gzip;q=high", "gzip"),
    ],
)
def test_choice_follows_the_clients_weights(header: str, encoding: str) -> None:
    """Identity is always acceptable unless it is refused."""
    assert choose_encoding(header) == encoding


@pytest.mark.parametrize("header", ["identity;q=0", "*;q=0", "identity;q=0, br"])
def test_client_that_takes_nothing_is_refused(header: str) -> None:
    """406, with what could be had."""
    with pytest.raises(ApiError, match="supported: \\[gzip\\]") as refusal:
        choose_encoding(header)
    assert refusal.value.status == 406
    assert not accepts_identity(header)


@given(st.binary(max_size=2000))
def test_gzip_out_and_in_is_the_same(data: bytes) -> None:
    """Both directions agree with the standard library and each other."""
    packed = joined(compressed(pieces(data)))
    assert gzip.decompress(packed) == data
    assert joined(decompressed(pieces(packed), "gzip")) == data
    assert joined(decompressed(pieces(gzip.compress(data) * 2), "gzip")) == data * 2
    assert joined(decompressed(pieces(data), "")) == data


@pytest.mark.parametrize(
    ("body", "encoding", "words"),
    [
        (b"not gzip at all", "gzip", "error decompressing"),
        (gzip.compress(b"x" * 100)[:-10], "gzip", "unexpected EOF"),
        (b"", "gzip", "unexpected EOF"),
        (b"x", "br", "unsupported Content-Encoding: br"),
    ],
    ids=["no-gzip", "cut", "empty", "unknown"],
)
def test_upload_in_a_wrong_encoding_is_refused(body: bytes, encoding: str, words: str) -> None:
    """A damaged upload is no short file."""
    with pytest.raises(ApiError, match=words) as refusal:
        joined(decompressed(pieces(body), encoding))
    assert refusal.value.status == 400


def test_bomb_is_inflated_in_bounded_pieces() -> None:
    """Memory stays flat, whatever a few bytes turn into."""

    async def largest() -> int:
        bomb = gzip.compress(bytes(50_000_000))
        return max([len(piece) async for piece in decompressed(pieces(bomb, 65536), "gzip")])

    assert asyncio.run(largest()) <= 256 * 1024
