"""Cells of delimited text as spans of its bytes, so that one can be changed and no other."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from harness.parity.controls.scene import UnfitError

__all__ = ["Cells"]

_CELL = re.compile(rb'(?:"(?:[^"]|"")*"|[^,\r\n]*)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """A table in UTF-8 with commas and a header.

    Attributes:
        names: the header's names.
        rows: every row after the header: its cells as they are written.
        end: how lines end.
    """

    names: tuple[bytes, ...]
    rows: tuple[tuple[bytes, ...], ...]
    end: bytes

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Reads a table."""
        end = b"\r\n" if b"\r\n" in data else b"\n"
        rows: list[tuple[bytes, ...]] = []
        row: list[bytes] = []
        at = 0
        while at < len(data):
            match = _CELL.match(data, at)
            cell = match[0] if match else b""
            row.append(cell)
            at += len(cell)
            if data[at : at + 1] == b",":
                at += 1
            else:
                rows.append(tuple(row))
                row = []
                at += len(end)
        return cls(names=rows[0], rows=tuple(rows[1:]), end=end)

    def written(self, rows: tuple[tuple[bytes, ...], ...] | None = None) -> bytes:
        """The table as bytes, with other rows where they are given."""
        everything = (self.names, *(self.rows if rows is None else rows))
        return b"".join(b",".join(row) + self.end for row in everything)

    def with_cell(
        self, pattern: bytes, change: Callable[[bytes], bytes]
    ) -> tuple[bytes, tuple[bytes, ...], bytes]:
        """The table with its first fitting cell changed, the row it was in, and its column.

        Raises:
            UnfitError: if no cell fits, or the change leaves it as it is.
        """
        for number, row in enumerate(self.rows):
            for column, cell in enumerate(row):
                if re.fullmatch(pattern, cell) and change(cell) != cell:
                    other = (*row[:column], change(cell), *row[column + 1 :])
                    rows = (*self.rows[:number], other, *self.rows[number + 1 :])
                    return self.written(rows), other, self.names[column].strip(b'"')
        raise UnfitError(f"a cell like {pattern.decode()}")
