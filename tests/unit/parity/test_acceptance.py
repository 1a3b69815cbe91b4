from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pytest

from harness.model.difference import Allowance, Difference
from harness.parity.acceptance import Acceptance, accept, matches

TODAY = date(2026, 6, 1)
LIBRARY = ("a", "b", "c")
ALLOWANCE = Allowance(
    path="events/x",
    kind="missing",
    pipelines=("a", "b"),
    reason="r",
    link="l",
    expires=date(2026, 6, 1),
    source="f:1",
)
DIFFERENCE = Difference(
    id="1", path="events/x", kind="missing", local="{}", remote=None, pipelines=("a",)
)
IN_B = replace(DIFFERENCE, pipelines=("b",))


def judge(
    differences: Sequence[Difference],
    allowances: Sequence[Allowance],
    compared: Sequence[str] = LIBRARY,
) -> Acceptance:
    steps = dict.fromkeys(compared, 2)
    return accept(differences, allowances, today=TODAY, compared=steps, library=LIBRARY)


def problems(acceptance: Acceptance) -> list[str]:
    return [problem.message for problem in acceptance.problems]


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("events/x", "events/x", True),
        ("events/x", "events/xy", False),
        ("events/x", "events/x/fields/y", False),
        ("events/*", "events/x", True),
        ("events/*", "events/x/fields/y", False),
        ("events/x_*", "events/x_1", True),
        ("**", "events/x/fields/y", True),
        ("events/**", "events/x/fields/y", True),
        ("events/**/y", "events/y", True),
        ("events/**/y", "events/x/fields/y", True),
        ("events/**/y", "metrics/x/y", False),
        ("a.b", "acb", False),
        ("a[*]b", "a*b", True),
        ("a[*]b", "axb", False),
        ("a?", "ab", True),
        ("a?", "a/", False),
    ],
)
def test_path_pattern(pattern: str, path: str, *, expected: bool) -> None:
    """`*` is one segment, `**` any number, `[*]` a star."""
    allowance = replace(ALLOWANCE, path=pattern)
    assert matches(allowance, replace(DIFFERENCE, path=path)) is expected


@pytest.mark.parametrize(
    "other",
    [
        replace(DIFFERENCE, kind="extra"),
        replace(DIFFERENCE, path="events/y"),
        replace(DIFFERENCE, pipelines=("c",)),
    ],
)
def test_another_difference_is_not_covered(other: Difference) -> None:
    """Control: kind, path and pipelines all have to fit."""
    assert judge([other], [ALLOWANCE]).open == (other,)


def test_values_of_an_allowance_are_patterns() -> None:
    """An allowance can be about one error text only."""
    pinned = replace(ALLOWANCE, local="{}", kind=None)
    assert matches(pinned, DIFFERENCE)
    assert not matches(replace(pinned, local="{x"), DIFFERENCE)
    assert not matches(replace(pinned, remote="*"), DIFFERENCE)


def test_accepted_difference_is_not_open() -> None:
    """An allowance that fits accepts, and is not complained of."""
    found = judge([DIFFERENCE, IN_B], [ALLOWANCE])
    assert found.open == ()
    assert [by for _, by in found.accepted] == [ALLOWANCE, ALLOWANCE]
    assert found.problems == ()


def test_allowance_that_matches_nothing_fails() -> None:
    """A debt that was paid must be struck off."""
    assert problems(judge([], [ALLOWANCE])) == ["matches nothing any more"]


def test_allowance_for_pipelines_that_did_not_run_is_not_judged() -> None:
    """A run of one case says nothing of the others."""
    assert judge([], [ALLOWANCE], compared=["c"]).problems == ()
    assert judge([DIFFERENCE], [ALLOWANCE], compared=["a"]).problems == ()
    anywhere = replace(ALLOWANCE, pipelines=())
    assert judge([], [anywhere], compared=["a"]).problems == ()
    assert problems(judge([], [anywhere])) == ["matches nothing any more"]


def test_expired_allowance_accepts_nothing_and_fails() -> None:
    """The last day still counts, the day after does not."""
    late = replace(ALLOWANCE, expires=date(2026, 5, 31))
    found = judge([DIFFERENCE, IN_B], [late])
    assert found.open == (DIFFERENCE, IN_B)
    assert problems(found) == ["expired on 2026-05-31"]


def test_allowance_that_says_more_than_occurs_fails() -> None:
    """Its list of pipelines is exact."""
    assert problems(judge([DIFFERENCE], [ALLOWANCE])) == ["does not occur any more in b"]


def test_allowance_for_an_unknown_pipeline_fails() -> None:
    """A renamed case does not leave a debt behind."""
    named = replace(ALLOWANCE, pipelines=("a", "gone"))
    assert problems(judge([DIFFERENCE], [named])) == ["names pipelines that there are not: gone"]


def test_count_is_exact() -> None:
    """One more of the same is news."""
    counted = replace(ALLOWANCE, count=2)
    assert judge([DIFFERENCE, IN_B], [counted]).problems == ()
    assert problems(judge([DIFFERENCE, replace(IN_B, count=2)], [counted])) == [
        "says 2 times, and it occurs 3 times"
    ]
    assert judge([DIFFERENCE], [counted], compared=["a"]).problems == ()


@pytest.mark.parametrize(("per", "count", "limit"), [("run", 2, 1), ("step", 3, 2)])
def test_per_run_and_per_step_are_limits(per: str, count: int, limit: int) -> None:
    """An accepted event that comes twice where it came once is news."""
    limited = replace(ALLOWANCE, per=per, pipelines=("a",))
    assert judge([replace(DIFFERENCE, count=limit)], [limited]).problems == ()
    assert problems(judge([replace(DIFFERENCE, count=count)], [limited])) == [
        f"says once per {per}, and it occurs {count} times in a"
    ]


def test_more_exact_allowance_answers_first() -> None:
    """A vague allowance beside an exact one shows as the one too many."""
    vague = replace(ALLOWANCE, path="**", pipelines=(), kind=None, source="f:9")
    found = judge([DIFFERENCE, IN_B], [vague, ALLOWANCE])
    assert {by.source for _, by in found.accepted} == {"f:1"}
    assert [problem.allowance.source for problem in found.problems] == ["f:9"]


def test_what_follows_from_an_accepted_cause_is_accepted() -> None:
    """One debt for one cause, not for each of its consequences."""
    cause = replace(DIFFERENCE, id="cause", path="outcome", kind="value")
    effect = replace(DIFFERENCE, explained_by="cause")
    elsewhere = replace(IN_B, explained_by="cause")
    by = replace(ALLOWANCE, path="outcome", kind="value", pipelines=("a",))
    found = judge([cause, effect, elsewhere], [by])
    assert [item for item, _ in found.accepted] == [cause, effect]
    assert found.open == (elsewhere,)
