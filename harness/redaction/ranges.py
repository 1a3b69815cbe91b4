"""Ranges of bytes that are taken, and whether another one touches them.

A log can hold a value in each of its lines: a question that went over all of them would
make a search take the square of their number.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable

__all__ = ["Ranges"]


class Ranges:
    """A set of byte positions, kept as ascending ranges that do not overlap.

    Args:
        ranges: pairs of the first position and the one after the last, in any order.
    """

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in sorted(ranges):
            if self._ends and start < self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._starts.append(start)
                self._ends.append(end)

    def add(self, start: int, end: int) -> None:
        """Takes the positions from `start` up to `end`, without `end`."""
        first = bisect.bisect_right(self._ends, start)
        last = bisect.bisect_left(self._starts, end)
        if first < last:
            start, end = min(start, self._starts[first]), max(end, self._ends[last - 1])
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]

    def overlaps(self, start: int, end: int) -> bool:
        """Whether a position from `start` up to `end`, without `end`, is taken."""
        before = bisect.bisect_left(self._starts, end)
        return before > 0 and self._ends[before - 1] > start

    def covers(self, start: int, end: int) -> bool:
        """Whether one range holds each position from `start` up to `end`, without `end`."""
        before = bisect.bisect_right(self._starts, start)
        return before > 0 and self._ends[before - 1] >= end
