"""What two runs of one side were seen to disagree on, in the terms of the comparers.

`harness.parity.noise` learns it; the comparers of tables, texts and records read it,
so that a noisy column or line is left out and all around it is still compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["QUIET", "MeasuredNoise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredNoise:
    """Noise that the comparers leave out.

    Attributes:
        columns: the columns whose values differ, by the site of their table.
        lines: the local lines (from 0) that differ, by the site of their text.
        remote_lines: the same of the remote side, where it was measured, too.
        unordered: sites of tables, and names of streams, that come in any order.
    """

    columns: Mapping[str, frozenset[str]] = field(default_factory=dict)
    lines: Mapping[str, frozenset[int]] = field(default_factory=dict)
    remote_lines: Mapping[str, frozenset[int]] = field(default_factory=dict)
    unordered: frozenset[str] = frozenset()

    def lines_of(self, site: str) -> tuple[frozenset[int], frozenset[int]]:
        """The noisy lines of a text: the local ones, and the remote ones."""
        nothing: frozenset[int] = frozenset()
        return self.lines.get(site, nothing), self.remote_lines.get(site, nothing)


QUIET = MeasuredNoise()
