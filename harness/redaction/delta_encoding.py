"""Parquet's numbers as differences: of a column of numbers, or of the lengths of its texts.

Source: apache/parquet-format Encodings.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from harness.redaction.thrift_compact import MalformedError, ThriftReader

__all__ = ["differences"]

_MAX_BLOCK_VALUES = 64 * 1024
_MAX_BITS = 64


def differences(stream: IO[bytes], *, bits: int) -> Iterator[int]:
    """The numbers of one block of them; the stream is then behind it.

    Args:
        stream: from where it begins.
        bits: how wide the numbers are; they wrap around.

    Raises:
        MalformedError: if there are fewer than it says.
    """
    reader = ThriftReader(stream)
    block_values, parts, left = reader.varint(), reader.varint(), reader.varint()
    value = reader.signed()
    if not 0 < block_values <= _MAX_BLOCK_VALUES or not parts or block_values % (8 * parts):
        raise MalformedError(f"blocks of {block_values} numbers in {parts} parts")
    part_values = block_values // parts
    half, whole = 1 << (bits - 1), (1 << bits) - 1
    if left:
        yield value
        left -= 1
    while left > 0:
        least = reader.signed()
        for width in reader.exactly(parts):
            if left <= 0:
                break
            if width > _MAX_BITS:
                raise MalformedError(f"differences of {width} bits")
            packed = int.from_bytes(reader.exactly(part_values * width // 8), "little")
            mask = (1 << width) - 1
            for _ in range(min(left, part_values)):
                value = ((value + least + (packed & mask) + half) & whole) - half
                packed >>= width
                yield value
            left -= part_values
