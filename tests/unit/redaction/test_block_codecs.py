"""Packed blocks give back what was put in, small and large, and say when they cannot."""

from __future__ import annotations

import gzip
import io
import random
from collections.abc import Callable

import cramjam
import pytest

from harness.redaction.block_codecs import UnpackError, unpacked

DRAWN = random.Random(1)  # noqa: S311 - the same in each run
WORDS = [DRAWN.randbytes(DRAWN.randrange(1, 40)) for _ in range(200)]
SMALL = b"".join(DRAWN.choices(WORDS, k=2000))
# Texts, a long run, bytes that nothing packs, a copy of what stood a page before: more than 8 MiB.
LARGE = SMALL * 60 + b"r" * 1_000_000 + DRAWN.randbytes(400_000) + SMALL * 150 + SMALL[:777]
PACK: dict[str, Callable[[bytes], bytes]] = {
    "uncompressed": bytes,
    "snappy": lambda data: bytes(cramjam.snappy.compress_raw(data)),
    "gzip": lambda data: gzip.compress(data, 1),
    "zstd": lambda data: bytes(cramjam.zstd.compress(data)),
    "brotli": lambda data: bytes(cramjam.brotli.compress(data, 1)),
    "lz4": lambda data: bytes(cramjam.lz4.compress_block(data, store_size=False)),
}


def read(codec: str, packed: bytes, size_bytes: int) -> bytes:
    stream = io.BytesIO(packed)
    with unpacked(codec, stream, packed_bytes=len(packed), size_bytes=size_bytes) as content:
        return b"".join(iter(lambda: content.read(100_000), b""))


@pytest.mark.parametrize("codec", PACK)
def test_block_codecs_small_block_comes_back(codec: str) -> None:
    """Byte for byte; so does an empty one that is packed."""
    assert read(codec, PACK[codec](SMALL), len(SMALL)) == SMALL


@pytest.mark.parametrize("codec", ["uncompressed", "snappy", "gzip", "zstd"])
def test_block_codecs_large_block_comes_back_in_pieces(codec: str) -> None:
    """One of more than 8 MiB is never whole in memory, and is the same."""
    assert len(LARGE) > 8 * 1024**2
    assert read(codec, PACK[codec](LARGE), len(LARGE)) == LARGE


@pytest.mark.parametrize("codec", ["brotli", "lz4"])
def test_block_codecs_large_block_of_others_is_refused(codec: str) -> None:
    """What would have to be whole in memory is said, not read."""
    with pytest.raises(UnpackError, match="more than 8 MiB in one block"):
        read(codec, PACK[codec](LARGE), len(LARGE))


@pytest.mark.parametrize("size", ["less", "more"])
@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("codec", ["snappy", "gzip", "zstd"])
def test_block_codecs_wrong_length_is_refused(codec: str, content: bytes, size: str) -> None:
    """A bomb that says that it is small gives no more than it says."""
    said = len(content) - 100 if size == "less" else len(content) + 100
    with pytest.raises(UnpackError):
        read(codec, PACK[codec](content), said)


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("codec", ["uncompressed", "snappy", "gzip", "zstd"])
def test_block_codecs_cut_block_is_refused(codec: str, content: bytes) -> None:
    """Half a block is damage, whatever its first half gives."""
    packed = PACK[codec](content)
    with pytest.raises(UnpackError):
        read(codec, packed[: len(packed) // 2], len(content))


def test_block_codecs_snappy_that_looks_back_too_far_is_refused() -> None:
    """The format allows a copy from anywhere before; no compressor of it does that."""
    varint = b"\x80\x80\x80\x10"  # 32 MiB
    literal = b"\xf8\xff\xff\x03" + bytes(4 * 65536)
    copy = b"\x03\x00\x00\x04\x00"
    packed = varint + literal * 4 + copy
    with pytest.raises(UnpackError, match="looks back"):
        read("snappy", packed, 32 * 1024**2)


def test_block_codecs_zstd_with_a_large_window_is_refused() -> None:
    """One that would need more memory than 8 MiB is said."""
    frame = b"\x28\xb5\x2f\xfd" + b"\x00" + bytes([(24 - 10) << 3]) + b"\x01\x00\x00"
    with pytest.raises(UnpackError, match="memory"):
        read("zstd", frame, 100)
