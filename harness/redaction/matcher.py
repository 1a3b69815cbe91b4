"""Many expressions looked for in one pass over bytes, by Hyperscan.

The time of a pass hardly depends on how many there are: two thousand forms of forty
secrets cost what one costs. Only where a match ends is told; whoever asks knows how
long it is.
"""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence

import hyperscan

__all__ = ["Matcher", "literal"]

_NUMBER_BITS = 24  # more expressions than Hyperscan compiles in an hour
_NUMBER_MASK = (1 << _NUMBER_BITS) - 1
_PART = 65536


def literal(data: bytes) -> bytes:
    """The expression that matches these bytes and nothing else."""
    return b"".join(b"\\x%02x" % byte for byte in data)


class Matcher:
    """Finds where expressions match; several threads may use one.

    Args:
        expressions: in Hyperscan's syntax, which is that of Perl without what needs to look back.
        caseless: letters match in both cases.
        once: the numbers of expressions of which one match in a pass is enough.
    """

    def __init__(
        self, expressions: Sequence[bytes], *, caseless: bool = False, once: Collection[int] = ()
    ) -> None:
        self._database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK) if expressions else None
        # A search needs a working space of its own, also within a signal's handler.
        self._spaces: list[hyperscan.Scratch] = []
        common = hyperscan.HS_FLAG_DOTALL | (hyperscan.HS_FLAG_CASELESS if caseless else 0)
        single = common | hyperscan.HS_FLAG_SINGLEMATCH
        if self._database is not None:
            self._database.compile(
                expressions=list(expressions),
                ids=list(range(len(expressions))),
                elements=len(expressions),
                flags=[single if n in once else common for n in range(len(expressions))],
            )

    def matches(self, data: bytes) -> bool:
        """Whether any expression matches anywhere."""
        return bool(self._found(data))

    def ends(self, data: bytes) -> Iterator[tuple[int, int]]:
        """The end of each match and its expression's number, in order of the ends.

        Matches that overlap are all told.
        """
        for code in _ascending(self._found(data)):
            yield code >> _NUMBER_BITS, code & _NUMBER_MASK

    def _found(self, data: bytes) -> array[int]:
        """Ends and numbers in one integer each: of digits alone there is a match at each byte."""
        found = array("Q")
        if self._database is None or not data:
            return found

        def on_match(number: int, _start: int, end: int, _flags: int, _context: object) -> None:
            found.append(end << _NUMBER_BITS | number)

        space = self._spaces.pop() if self._spaces else hyperscan.Scratch(self._database)
        self._database.scan(data, on_match, scratch=space)
        self._spaces.append(space)
        return found


def _ascending(codes: array[int]) -> Iterable[int]:
    """The same in order, sorted part by part: a list of all of them takes five times the room."""
    if len(codes) <= _PART:
        return sorted(codes)
    starts = range(0, len(codes), _PART)
    return heapq.merge(*(array("Q", sorted(codes[start : start + _PART])) for start in starts))
