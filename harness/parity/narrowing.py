"""Two delimited files without the records that are the same, byte for byte, at the same place.

Where two large files differ in a few cells, only those records have to be read as a table.
Nothing is said of files that differ otherwise: lost records, many differences, other headers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

__all__ = ["Narrowed", "narrow"]

MAX_RECORDS = 10_000
MAX_RECORD_BYTES = 1 << 20
CHUNK_BYTES = 1 << 20
FIRST_BYTES = 4 << 10  # most records are short
_QUOTE, _LINE_FEED = b'"', b"\n"

Span = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowed:
    """What is left of two files.

    Attributes:
        local: the local records that differ, under the header that both files have.
        remote: the remote ones at the same places.
        numbers: which records they are; the header is none, the first behind it is 0.
        total: how many records each file has.
    """

    local: Path
    remote: Path
    numbers: tuple[int, ...]
    total: int


def narrow(local: Path, remote: Path, folder: Path, *, header: bool) -> Narrowed | None:
    """The records that differ; None where the files are not that much alike.

    Args:
        local: the local file: UTF-8, its lines ending in LF or CR LF.
        remote: the remote one.
        folder: where the two small files are written.
        header: whether the first record names columns.
    """
    with ExitStack() as stack:
        mine, theirs = (_Data(stack.enter_context(path.open("rb"))) for path in (local, remote))
        walk = _Walk(mine, theirs)
        found = list(walk.records())
        if not walk.is_whole or (header and (not found or found[0][0] == 0)):
            return None
        heading = _record_end(mine, 0) if header else 0
        if heading is None:
            return None
        paths = (folder / "local.csv", folder / "remote.csv")
        for path, data, side in zip(paths, (mine, theirs), (0, 1), strict=True):
            with path.open("wb") as file:
                file.write(data.read(0, heading))
                file.writelines(data.read(*spans[side]) for _, spans in found)
        before = 1 if header else 0
        return Narrowed(
            local=paths[0],
            remote=paths[1],
            numbers=tuple(number - before for number, _ in found),
            total=walk.count - before,
        )


class _Data:
    """A file's bytes, read where they are wanted: mapped memory would count as ours."""

    def __init__(self, file: BufferedReader) -> None:
        self._number = file.fileno()
        self.size = os.fstat(self._number).st_size

    def read(self, start: int, end: int) -> bytes:
        return os.pread(self._number, max(0, end - start), start)


class _Walk:
    """Goes through two files together, from record to record.

    Attributes:
        count: the records that were passed, of each file.
        is_whole: whether both files were gone through to their end.
    """

    def __init__(self, mine: _Data, theirs: _Data) -> None:
        self._mine = mine
        self._theirs = theirs
        self.count = 0
        self.is_whole = False

    def records(self) -> Iterator[tuple[int, tuple[Span, Span]]]:
        """The records that differ: number, and where they are on both sides."""
        here = there = 0
        for _ in range(MAX_RECORDS):
            passed, alike = self._pass(here, there)
            if alike == self._mine.size - here and alike == self._theirs.size - there:
                # What follows the last end of line is a record, too.
                self.count += passed < alike
                self.is_whole = True
                return
            here, there = here + passed, there + passed
            end, other_end = _record_end(self._mine, here), _record_end(self._theirs, there)
            if end is None or other_end is None:
                return
            yield self.count, ((here, end), (there, other_end))
            self.count += 1
            here, there = end, other_end

    def _pass(self, here: int, there: int) -> tuple[int, int]:
        """How many bytes of whole records are the same, and how many bytes at all."""
        done = passed = 0
        odd = False  # within quotes, where an end of line ends no record
        while True:
            start, other = here + done, there + done
            piece = self._mine.read(start, start + CHUNK_BYTES)
            against = self._theirs.read(other, other + CHUNK_BYTES)
            if piece != against:
                piece = piece[: _common(piece, against)]
            ends, last, odd = _ends(piece, odd=odd)
            if ends:
                self.count += ends
                passed = done + last + 1
            done += len(piece)
            if len(piece) < CHUNK_BYTES:
                return passed, done


def _ends(piece: bytes, *, odd: bool) -> tuple[int, int, bool]:
    """The ends of records: how many, where the last is, and whether a quote is open behind.

    Args:
        piece: a piece of a file.
        odd: whether a quote is open before it.
    """
    if _QUOTE not in piece:
        return (0, -1, True) if odd else (piece.count(_LINE_FEED), piece.rfind(_LINE_FEED), False)
    outside = piece.split(_QUOTE)[int(odd) :: 2]
    count = b"".join(outside).count(_LINE_FEED)
    last = piece.rfind(_LINE_FEED) if count else -1
    while last >= 0 and (piece.count(_QUOTE, 0, last) % 2 == 1) != odd:
        # Within quotes: what can be an end stands before the one that opened them.
        last = piece.rfind(_LINE_FEED, 0, piece.rfind(_QUOTE, 0, last))
    return count, last, (piece.count(_QUOTE) % 2 == 1) != odd


def _record_end(data: _Data, start: int) -> int | None:
    """Where the record that begins there ends; None where it is none, or very long."""
    if start >= data.size:
        return None
    for size in (FIRST_BYTES, MAX_RECORD_BYTES):
        piece = data.read(start, start + size)
        end = piece.find(_LINE_FEED)
        while end >= 0:
            if piece.count(_QUOTE, 0, end) % 2 == 0:
                return start + end + 1
            end = piece.find(_LINE_FEED, end + 1)
        if start + len(piece) >= data.size:
            return data.size
    return None


def _common(mine: bytes, theirs: bytes) -> int:
    """How many of the first bytes are the same."""
    low, high = 0, min(len(mine), len(theirs))
    while low < high:
        middle = (low + high + 1) // 2
        if mine[low:middle] == theirs[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
