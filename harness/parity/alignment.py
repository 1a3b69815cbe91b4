"""Which element of one sequence stands for which of another.

Equal elements are matched first, in order; what is left in a gap between two
matches is paired from its start, so that one changed line is one pair and one
lost line does not shift all that follow.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Sequence

__all__ = ["Pair", "align"]

Pair = tuple[int | None, int | None]
MAX_CELLS = 1_000_000  # of the exact method; beyond it the quick one, which may pair less well


def align(left: Sequence[Hashable], right: Sequence[Hashable]) -> list[Pair]:
    """Pairs of indexes, in order; None stands where the other side has no counterpart.

    Every index of both sides occurs exactly once. Cost: linear where the sides
    are mostly equal; at worst the product of what differs, up to `MAX_CELLS`.
    """
    start = 0
    while start < min(len(left), len(right)) and left[start] == right[start]:
        start += 1
    end_left, end_right = len(left), len(right)
    while end_left > start and end_right > start and left[end_left - 1] == right[end_right - 1]:
        end_left -= 1
        end_right -= 1
    pairs: list[Pair] = [(index, index) for index in range(start)]
    middle_left, middle_right = left[start:end_left], right[start:end_right]
    exact = len(middle_left) * len(middle_right) <= MAX_CELLS
    matches = (_longest if exact else _forward)(middle_left, middle_right)
    pairs += _with_gaps(matches, len(middle_left), len(middle_right), start)
    pairs += [(end_left + step, end_right + step) for step in range(len(left) - end_left)]
    return pairs


def _longest(left: Sequence[Hashable], right: Sequence[Hashable]) -> list[tuple[int, int]]:
    """The longest common subsequence."""
    lengths = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i in range(len(left) - 1, -1, -1):
        row, below = lengths[i], lengths[i + 1]
        for j in range(len(right) - 1, -1, -1):
            row[j] = below[j + 1] + 1 if left[i] == right[j] else max(below[j], row[j + 1])
    matches: list[tuple[int, int]] = []
    i = j = 0
    while i < len(left) and j < len(right):
        if left[i] == right[j]:
            matches.append((i, j))
            i, j = i + 1, j + 1
        elif lengths[i + 1][j] >= lengths[i][j + 1]:
            i += 1
        else:
            j += 1
    return matches


def _forward(left: Sequence[Hashable], right: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Each element's next counterpart that lies ahead of the last match and not far off it."""
    places: defaultdict[Hashable, deque[int]] = defaultdict(deque)
    for index, element in enumerate(right):
        places[element].append(index)
    matches: list[tuple[int, int]] = []
    reached = 0
    reach = abs(len(left) - len(right)) + 1000
    for index, element in enumerate(left):
        ahead = places[element]
        while ahead and ahead[0] < reached:
            ahead.popleft()
        if ahead and ahead[0] - reached <= reach:
            reached = ahead.popleft() + 1
            matches.append((index, reached - 1))
    return matches


def _with_gaps(matches: list[tuple[int, int]], size: int, other: int, offset: int) -> list[Pair]:
    pairs: list[Pair] = []
    i = j = 0
    for at, to in [*matches, (size, other)]:
        while i < at or j < to:
            pairs.append((offset + i if i < at else None, offset + j if j < to else None))
            i, j = min(i + 1, at), min(j + 1, to)
        if at < size:
            pairs.append((offset + at, offset + to))
        i, j = at + 1, to + 1
    return pairs
