"""Which differences the allowances accept, and which allowances are wrong.

An allowance is wrong when it matches nothing any more, has expired, or covers
more than it says: its list of pipelines and its count are exact. Each such
problem fails the run, so that the file of debts never grows stale.
"""

from __future__ import annotations

import fnmatch
import functools
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from harness.model.difference import Allowance, Difference

__all__ = ["Acceptance", "Problem", "accept", "matches"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An allowance that is wrong.

    Attributes:
        allowance: the allowance.
        message: what is wrong with it.
        next_step: what to do.
    """

    allowance: Allowance
    message: str
    next_step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """What the allowances make of the differences.

    Attributes:
        accepted: each accepted difference of one pipeline, with the allowance of its
            own or of the difference that explains it.
        open: the differences of one pipeline that nothing accepts.
        problems: the allowances that are wrong.
    """

    accepted: tuple[tuple[Difference, Allowance], ...]
    open: tuple[Difference, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scope:
    """What this run could have shown."""

    today: date
    steps: Mapping[str, int]
    library: frozenset[str]
    unseen: frozenset[str]
    absent: frozenset[str]

    @property
    def compared(self) -> frozenset[str]:
        return frozenset(self.steps)


def accept(
    differences: Iterable[Difference],
    allowances: Sequence[Allowance],
    *,
    today: date,
    compared: Mapping[str, int],
    library: Collection[str],
    unseen: Collection[str] = (),
    absent: Collection[str] = (),
) -> Acceptance:
    """Divides the differences into accepted and open ones, and judges the allowances.

    Args:
        differences: of one pipeline each, not merged.
        allowances: in the order of their file.
        today: the day on which an allowance must still hold.
        compared: the pipelines of this run that were compared, with their number of
            steps; an allowance is called stale only for what this run could have shown.
        library: every pipeline that there is.
        unseen: areas of evidence (the first part of a path) that this run could not see.
        absent: pipelines that cannot be run here; an allowance without pipelines is judged
            by all the others.
    """
    scope = _Scope(
        today=today,
        steps=compared,
        library=frozenset(library),
        unseen=frozenset(unseen),
        absent=frozenset(absent),
    )
    everything = list(differences)
    valid = sorted((item for item in allowances if item.expires >= today), key=_vagueness)
    own = [
        next((item for item in valid if matches(item, difference)), None)
        for difference in everything
    ]
    heads = {
        (difference.id, difference.pipelines): by
        for difference, by in zip(everything, own, strict=True)
        if by is not None and difference.explained_by is None
    }
    accepted: list[tuple[Difference, Allowance]] = []
    left: list[Difference] = []
    used: defaultdict[str, list[Difference]] = defaultdict(list)
    for difference, mine in zip(everything, own, strict=True):
        by = mine or heads.get((difference.explained_by or "", difference.pipelines))
        if mine is not None:
            used[mine.source].append(difference)
        if by is None:
            left.append(difference)
        else:
            accepted.append((difference, by))
    problems = [
        problem for item in allowances for problem in _problems(item, used[item.source], scope)
    ]
    return Acceptance(accepted=tuple(accepted), open=tuple(left), problems=tuple(problems))


def matches(allowance: Allowance, difference: Difference) -> bool:
    """Whether the allowance is about the difference: kind, pipeline, path and values."""
    return (
        allowance.kind in {None, difference.kind}
        and (not allowance.pipelines or set(difference.pipelines) <= set(allowance.pipelines))
        and _path_pattern(allowance.path).fullmatch(f"{difference.path}/") is not None
        and _value_matches(allowance.local, difference.local)
        and _value_matches(allowance.remote, difference.remote)
    )


def _value_matches(pattern: str | None, value: str | None) -> bool:
    return pattern is None or (value is not None and fnmatch.fnmatchcase(value, pattern))


@functools.lru_cache(maxsize=1024)
def _path_pattern(path: str) -> re.Pattern[str]:
    """`*` and `?` stay within one segment, `[x]` is x itself, `**` is any number of segments."""
    parts = ["(?:[^/]+/)*" if segment == "**" else _segment(segment) for segment in path.split("/")]
    return re.compile("".join(parts), re.DOTALL)


def _segment(segment: str) -> str:
    pieces = re.split(r"(\*|\?|\[.\])", segment)
    special = {"*": "[^/]*", "?": "[^/]"}
    return "".join(special.get(piece) or _plain(piece) for piece in pieces) + "/"


def _plain(piece: str) -> str:
    bracketed = re.fullmatch(r"\[(.)\]", piece)
    return re.escape(bracketed[1] if bracketed else piece)


def _vagueness(allowance: Allowance) -> tuple[bool, bool, int, bool]:
    """The most exact allowance answers for a difference, so that a vague one shows as stale."""
    pinned = allowance.local is not None or allowance.remote is not None
    return (not allowance.pipelines, not pinned, allowance.path.count("*"), allowance.kind is None)


def _problems(
    allowance: Allowance,
    used: Sequence[Difference],
    scope: _Scope,
) -> Iterator[Problem]:
    if allowance.expires < scope.today:
        yield Problem(
            allowance=allowance,
            message=f"expired on {allowance.expires.isoformat()}",
            next_step="have the divergence fixed, or accept it anew with a later date",
        )
        return
    unknown = sorted(set(allowance.pipelines) - scope.library)
    if unknown:
        yield Problem(
            allowance=allowance,
            message=f"names pipelines that there are not: {', '.join(unknown)}",
            next_step="correct its `pipelines`",
        )
    seen = {name for difference in used for name in difference.pipelines}
    whole = scope.compared >= (
        set(allowance.pipelines) & scope.library or scope.library - scope.absent
    )
    expected = set(allowance.pipelines) & scope.compared
    if allowance.path.split("/", 1)[0] in scope.unseen:
        return
    if not used and (whole or expected):
        yield Problem(
            allowance=allowance,
            message="matches nothing any more",
            next_step="remove it: the divergence is gone, or a more exact allowance answers for it",
        )
    elif expected - seen:
        yield Problem(
            allowance=allowance,
            message=f"does not occur any more in {', '.join(sorted(expected - seen))}",
            next_step="take these out of its `pipelines`",
        )
    count = sum(difference.count for difference in used)
    if whole and used and allowance.count not in {None, count}:
        yield Problem(
            allowance=allowance,
            message=f"says {allowance.count} times, and it occurs {count} times",
            next_step="look at what is new, then correct its `count`",
        )
    yield from _too_many(allowance, used, scope)


def _too_many(allowance: Allowance, used: Sequence[Difference], scope: _Scope) -> Iterator[Problem]:
    if allowance.per is None:
        return
    counts: Counter[str] = Counter()
    for difference in used:
        counts[difference.pipelines[0]] += difference.count
    for name, count in sorted(counts.items()):
        limit = 1 if allowance.per == "run" else max(1, scope.steps.get(name, 0))
        if count > limit:
            yield Problem(
                allowance=allowance,
                message=f"says once per {allowance.per}, and it occurs {count} times in {name}",
                next_step="look at what is new there",
            )
