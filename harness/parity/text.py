"""Compares texts line by line.

Line ends are part of a line: a file whose lines end in CR LF differs from one
whose lines end in LF, and a last line without an end differs from one with it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace

from harness.parity.alignment import align
from harness.parity.delta import Delta, Kind, shorten
from harness.parity.values import Place

__all__ = ["compare_text", "lines_of"]

MAX_LINES_SHOWN = 5
MAX_LINE = 160

# Not str.splitlines: form feeds and Unicode's separators are content, not line ends.
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")


def compare_text(
    local: str,
    remote: str,
    place: Place,
    *,
    ignore: Collection[int] = (),
    ignore_remote: Collection[int] = (),
) -> Iterator[Delta]:
    """Where two texts disagree: changed, missing and extra lines, each kind as one delta.

    Order: of lines, always. Tolerance: none; white space and ends of lines count. Encoding:
    lines are compared by code point.

    Args:
        local: the local text, normalised by the caller where it is to be.
        remote: the remote text.
        place: where they stand; `lines`, or `line_ends`, is added to its path.
        ignore: local lines (from 0) whose content is known to differ from run to
            run; whether they are there is compared all the same.
        ignore_remote: the same of the remote lines.
    """
    if local == remote:
        return
    mine, theirs = lines_of(local), lines_of(remote)
    if [_bare(line) for line in mine] == [_bare(line) for line in theirs]:
        changed = [(a, b) for a, b in zip(mine, theirs, strict=True) if a != b]
        first = changed[0]
        yield place.child("line_ends").delta(
            Kind.VALUE,
            repr(_end(first[0])),
            repr(_end(first[1])),
            shape=f"{_end(first[0])!r}→{_end(first[1])!r}",
            count=len(changed),
        )
        return
    noisy = (frozenset(ignore), frozenset(ignore_remote))
    yield from _lines(mine, theirs, place.child("lines"), noisy)


def lines_of(text: str) -> list[str]:
    """The lines of a text, each with its own end: LF, CR LF or CR."""
    return _LINE.findall(text)


def _lines(
    mine: list[str],
    theirs: list[str],
    place: Place,
    noisy: tuple[frozenset[int], frozenset[int]],
) -> Iterator[Delta]:
    changed: list[tuple[int, int]] = []
    missing: list[int] = []
    extra: list[int] = []
    for at, to in align(mine, theirs):
        if at is None and to is not None:
            extra.append(to)
        elif to is None and at is not None:
            missing.append(at)
        elif at is None or to is None or at in noisy[0] or to in noisy[1]:
            continue
        elif mine[at] != theirs[to]:
            changed.append((at, to))
    if changed:
        delta = place.delta(
            Kind.VALUE,
            _some(mine, [at for at, _ in changed]),
            _some(theirs, [to for _, to in changed]),
            count=len(changed),
        )
        yield replace(delta, lines=tuple(at for at, _ in changed))
    if missing:
        yield place.delta(Kind.MISSING, _some(mine, missing), count=len(missing))
    if extra:
        yield place.delta(Kind.EXTRA, None, _some(theirs, extra), count=len(extra))


def _some(lines: list[str], indexes: list[int]) -> str:
    shown = [
        f"{index + 1}: {shorten(_bare(lines[index]), MAX_LINE)}"
        for index in indexes[:MAX_LINES_SHOWN]
    ]
    if len(indexes) > MAX_LINES_SHOWN:
        shown.append(f"… and {len(indexes) - MAX_LINES_SHOWN} more")
    return "\n".join(shown)


def _bare(line: str) -> str:
    return line.rstrip("\r\n")


def _end(line: str) -> str:
    return line[len(_bare(line)) :]
