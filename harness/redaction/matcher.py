"""Many expressions looked for in one pass over bytes, by Hyperscan.

The time of a pass hardly depends on how many there are: two thousand forms of forty
secrets cost what one costs. Only where a match ends is told; whoever asks knows how
long it is.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import hyperscan

__all__ = ["Matcher", "literal"]


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

    def ends(self, data: bytes) -> list[tuple[int, int]]:
        """The end of each match and its expression's number, in order of the ends.

        Matches that overlap are all told.
        """
        found: list[tuple[int, int]] = []
        if self._database is None or not data:
            return found

        def on_match(number: int, _start: int, end: int, _flags: int, _context: object) -> None:
            found.append((end, number))

        space = self._spaces.pop() if self._spaces else hyperscan.Scratch(self._database)
        self._database.scan(data, on_match, scratch=space)
        self._spaces.append(space)
        found.sort()
        return found
