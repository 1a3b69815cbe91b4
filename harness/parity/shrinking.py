"""Makes a pipeline smaller as long as it still shows what it was found for.

This is greedy delta debugging over the pipeline's own structure, and not the
shrinker of hypothesis: each attempt costs a run on both sides, so that what counts
is few attempts, all of them pipelines that mean something. A run shows every
difference of its pipeline at once; who asks keeps the answers, and a pipeline that
was tried for one difference costs nothing for the next.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.model.difference import Difference
from harness.ports import Sketch

__all__ = ["Shrunk", "fault_of", "shrink"]

Shows = Callable[[Sequence[Sketch]], Sequence[bool] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrunk:
    """The smallest pipeline that was found.

    Attributes:
        sketch: the pipeline.
        whole: nothing that is one cut smaller shows it; False where the attempts ran out.
    """

    sketch: Sketch
    whole: bool


def shrink(start: Sketch, shows: Shows, *, side_by_side: int = 1) -> Shrunk:
    """The smallest pipeline that shows what `start` shows, one cut at a time.

    The same answers give the same pipeline, however many are asked for at once: of
    those that show it, the first in the order of cuts is taken.

    Args:
        start: shows it.
        shows: whether each of some pipelines shows it; None when there are no more attempts.
        side_by_side: how many pipelines are asked about at once.
    """
    best = start
    while True:
        smaller = (item for item in best.smaller() if item.weight < best.weight)
        found: Sketch | None = None
        while group := list(itertools.islice(smaller, side_by_side)):
            answers = shows(group)
            if answers is None:
                return Shrunk(sketch=best, whole=False)
            found = next((item for item, yes in zip(group, answers, strict=True) if yes), None)
            if found is not None:
                break
        if found is None:
            return Shrunk(sketch=best, whole=True)
        best = found


def fault_of(difference: Difference, files: Sequence[str]) -> str:
    """What tells one fault from another over pipelines that nobody wrote.

    The difference's own id does, except where its path holds the name of a file that the
    pipeline reads or writes: it is the pipeline's choice and says nothing of the fault.

    Args:
        difference: of one pipeline.
        files: the paths that this pipeline reads and writes.
    """
    path = f"{difference.path}/"
    for file in sorted(files, key=len, reverse=True):
        for spelling in (file, file.replace("~", "~0").replace("/", "~1")):
            head, found, rest = path.partition(f"/{spelling}/")
            if found:
                return f"{difference.kind} {head}/*/{rest}".rstrip("/")
    return difference.id
