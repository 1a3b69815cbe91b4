"""Compares files byte by byte, and says where the first byte differs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.parity.delta import Delta, Kind
from harness.parity.values import Place

__all__ = ["compare_bytes", "first_difference"]

CHUNK_BYTES = 1 << 20
WINDOW_BYTES = 16


def compare_bytes(local: Path, remote: Path, place: Place) -> Iterator[Delta]:
    """Where two files part, with a window of bytes in hexadecimal; nothing where they are equal.

    Tolerance: none, every byte counts.

    Args:
        local: the local file.
        remote: the remote file.
        place: where they stand; `bytes` is added to its path.
    """
    offset = first_difference(local, remote)
    if offset is not None:
        yield place.child("bytes").delta(
            Kind.VALUE, _window(local, offset), _window(remote, offset)
        )


def first_difference(local: Path, remote: Path) -> int | None:
    """The offset of the first byte that differs; None where the files are equal."""
    done = 0
    with local.open("rb") as mine, remote.open("rb") as theirs:
        while True:
            left, right = mine.read(CHUNK_BYTES), theirs.read(CHUNK_BYTES)
            if left != right:
                shorter = min(len(left), len(right))
                here = (i for i in range(shorter) if left[i] != right[i])
                return done + next(here, shorter)
            if not left:
                return None
            done += len(left)


def _window(path: Path, offset: int) -> str:
    start = max(0, offset - WINDOW_BYTES // 2)
    with path.open("rb") as file:
        file.seek(start)
        piece = file.read(WINDOW_BYTES)
    end = " (end of file)" if start + len(piece) <= offset else ""
    return f"{path.stat().st_size} bytes; at {start}: {piece.hex(' ')}{end}"
