"""Values that something other than a line break cuts: two log records, two cells, two literals.

Of a value in two parts one half is whole, so halves are what is looked for; the rest
must follow, or precede, within a short distance. Nothing needs to be parsed for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.redaction.known import Span
from harness.redaction.ranges import Ranges
from harness.redaction.sighting import Half

__all__ = ["SPLIT_DISTANCE_BYTES", "found_in_two_parts"]

SPLIT_DISTANCE_BYTES = 512


def found_in_two_parts(
    halves: Iterable[Half], data: bytes, *, whole: Iterable[Span]
) -> Iterator[Span]:
    """Spans from the first to the last byte of values that are cut once.

    Args:
        halves: where halves stand in the data.
        data: what was searched.
        whole: values that are not cut; their halves are no news.
    """
    taken = Ranges((span.start, span.end) for span in whole)
    for half in halves:
        if taken.overlaps(half.start, half.start + 1):
            continue
        found = _before(half, data) if half.second else _after(half, data)
        if found is not None:
            start, end = found
            taken.add(start, end)
            yield Span(
                start=start, end=end, name=half.name, encoding=half.encoding, value=half.value
            )


def _after(half: Half, data: bytes) -> tuple[int, int] | None:
    """The first half is here, with perhaps more; the rest must come soon."""
    form, start = half.form, half.start
    length = len(form) // 2
    while length < len(form) and data[start + length : start + length + 1] == form[length:][:1]:
        length += 1
    if length == len(form):
        return None  # it is not cut; what it looks like was refused for another reason
    # What the first part has taken along by chance may belong to the second.
    for kept in range(length, len(form) // 2 - 1, -1):
        rest = form[kept:]
        place = data.find(rest, start + length, start + length + SPLIT_DISTANCE_BYTES)
        if place >= 0:
            return start, place + len(rest)
    return None


def _before(half: Half, data: bytes) -> tuple[int, int] | None:
    """The second half is here, with perhaps more before it; the rest must stand shortly before."""
    form, middle = half.form, len(half.form) // 2
    end = half.start + len(form) - middle
    first = middle
    while (
        first > 0
        and data[half.start - (middle - first) - 1 : half.start - (middle - first)]
        == (form[first - 1 : first])
    ):
        first -= 1
    if first == 0:
        return None
    begin = half.start - (middle - first)
    low = max(begin - SPLIT_DISTANCE_BYTES, 0)
    for kept in range(first, middle + 1):
        place = data.rfind(form[:kept], low, begin)
        if place >= 0:
            return place, end
    return None
