"""Ranges of positions, beside a plain set of positions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.redaction.ranges import Ranges

RANGE = st.tuples(st.integers(0, 40), st.integers(1, 8)).map(lambda pair: (pair[0], sum(pair)))


@given(given=st.lists(RANGE), added=st.lists(RANGE), asked=RANGE)
def test_overlaps_as_a_set_of_positions_does(
    given: list[tuple[int, int]], added: list[tuple[int, int]], asked: tuple[int, int]
) -> None:
    """However the ranges came, what they take is the union of them."""
    ranges = Ranges(given)
    for start, end in added:
        ranges.add(start, end)
    positions = {place for start, end in (*given, *added) for place in range(start, end)}
    assert ranges.overlaps(*asked) == bool(positions & set(range(*asked)))


@given(given=st.lists(RANGE), asked=RANGE)
def test_covers_what_one_range_holds(given: list[tuple[int, int]], asked: tuple[int, int]) -> None:
    """Two ranges that only touch are two: a secret over the border of two tokens is masked."""
    positions = {place for start, end in given for place in range(start, end)}
    inner = range(asked[0] + 1, asked[1])
    borders = {place for place in inner if not any(start < place < end for start, end in given)}
    expected = set(range(*asked)) <= positions and not borders
    assert Ranges(given).covers(*asked) == expected
