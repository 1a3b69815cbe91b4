"""Finds names of files that are drawn at random, and gives them one that runs can share.

No rule knows them: `part-8f3a.csv` may be a name that means something. Two runs of one side
tell: where each has a file that the other lacks, and their names differ in one piece alone,
that piece is noise, and a name of another run that fits is the same name.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness.model.evidence import FileEvidence, FileRole
from harness.parity.delta import Delta, Kind
from harness.parity.normalise import NormalisedEvidence

__all__ = ["with_steady_names"]

MIN_RANDOM = 4
_RANDOM = re.compile(r"[0-9A-Za-z_-]+")
_LETTER = re.compile(r"[0-9A-Za-z]")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """Names that differ in one piece alone."""

    role: FileRole
    before: str
    length: int
    after: str

    def fits(self, file: FileEvidence) -> bool:
        pattern = f"{re.escape(self.before)}[0-9A-Za-z_-]{{{self.length}}}{re.escape(self.after)}"
        return file.role is self.role and re.fullmatch(pattern, file.path) is not None

    def name(self, number: int) -> str:
        return f"{self.before}<random:{number}>{self.after}"


def with_steady_names(
    sides: Sequence[NormalisedEvidence],
) -> tuple[list[NormalisedEvidence], tuple[Delta, ...]]:
    """The runs with `<random:1>` for the random piece of a name, and the noise that this was.

    Of several names of one shape, those with the same content have the same number.

    Args:
        sides: two runs of the local side, and then all others.
    """
    shapes = list(_shapes(sides[0], sides[1]))
    everyone, noise = list(sides), []
    for shape in shapes:
        groups = [[file for file in side.evidence.files if shape.fits(file)] for side in everyone]
        numbers = [_numbers(groups[0], group) for group in groups]
        everyone = [_renamed(side, shape, by) for side, by in zip(everyone, numbers, strict=True)]
        for path, number in numbers[0].items():
            second = next((other for other, same in numbers[1].items() if same == number), None)
            place = f"files/{shape.role.value}/{shape.name(number)}"
            noise.append(Delta(path=place, site=place, kind=Kind.VALUE, local=path, remote=second))
    return everyone, tuple(noise)


def _shapes(first: NormalisedEvidence, second: NormalisedEvidence) -> Iterator[_Shape]:
    """The shapes of names that only one of two runs has, each once."""
    seen: set[_Shape] = set()
    for role in FileRole:
        mine, theirs = (
            {file.path for file in side.evidence.files if file.role is role}
            for side in (first, second)
        )
        left = sorted(theirs - mine)
        for path in sorted(mine - theirs):
            shape = next(
                (found for other in left if (found := _shape(role, path, other)) is not None), None
            )
            if shape is not None and shape not in seen:
                seen.add(shape)
                yield shape


def _shape(role: FileRole, one: str, other: str) -> _Shape | None:
    """What two names have in common around one piece; None where they are not that much alike."""
    if len(one) != len(other):
        return None
    apart = [at for at, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
    start, end = apart[0], apart[-1] + 1
    while start and _LETTER.match(one[start - 1]):
        start -= 1
    while end < len(one) and _LETTER.match(one[end]):
        end += 1
    pieces = (one[start:end], other[start:end])
    drawn = all(_RANDOM.fullmatch(piece) and re.search(r"\d", piece) for piece in pieces)
    if end - start < MIN_RANDOM or not drawn:
        return None
    return _Shape(role=role, before=one[:start], length=end - start, after=one[end:])


def _numbers(first: Sequence[FileEvidence], group: Sequence[FileEvidence]) -> dict[str, int]:
    """The number of each path of a run: that of the first run's file of the same content."""
    free: defaultdict[str, list[int]] = defaultdict(list)
    for number, file in enumerate(sorted(first, key=lambda file: file.path), start=1):
        free[file.sha256].append(number)
    found: dict[str, int] = {}
    others: list[FileEvidence] = []
    for file in sorted(group, key=lambda file: file.path):
        if free[file.sha256]:
            found[file.path] = free[file.sha256].pop(0)
        else:
            others.append(file)
    left = sorted(number for numbers in free.values() for number in numbers)
    more = range(len(first) + 1, len(first) + len(others) + 1)
    for file, number in zip(others, [*left, *more], strict=False):
        found[file.path] = number
    return found


def _renamed(
    side: NormalisedEvidence, shape: _Shape, numbers: dict[str, int]
) -> NormalisedEvidence:
    files = [
        replace(file, path=shape.name(numbers[file.path]))
        if file.role is shape.role and file.path in numbers
        else file
        for file in side.evidence.files
    ]
    ordered = tuple(sorted(files, key=lambda file: (file.role.value, file.path)))
    return replace(side, evidence=replace(side.evidence, files=ordered))
