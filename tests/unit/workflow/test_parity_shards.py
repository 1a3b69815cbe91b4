"""Every case is in exactly one shard, the shards are about as long, and each splits alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from parity_target import case

from harness.errors import BrokenError, UsageError
from harness.model.run import Deed, Disturbance
from harness.parity import CaseComparison, CaseRun
from harness.workflow.parity_shards import (
    Shard,
    cases_of_shard,
    known_durations,
    longest_first,
    read_durations,
    record_durations,
)

NAMES = [f"case-{number:02}" for number in range(20)]
CASES = tuple(map(case, NAMES))


def split(total: int, durations: dict[str, float]) -> list[list[str]]:
    return [
        [item.name for item in cases_of_shard(CASES, Shard(number=n, total=total), durations)]
        for n in range(1, total + 1)
    ]


@pytest.mark.parametrize("total", [1, 2, 3, 8, 20])
def test_every_case_is_in_exactly_one_shard(total: int) -> None:
    """Nothing is lost, nothing runs twice, no shard is empty, and the order is the library's."""
    shards = split(total, {"case-03": 60.0, "case-04": 0.0})
    assert Counter(name for names in shards for name in names) == Counter(NAMES)
    assert all(shards)
    assert all(names == sorted(names) for names in shards)


def test_shards_take_about_as_long_as_each_other() -> None:
    """One long case weighs as much as the many short ones of the other shard."""
    durations = dict.fromkeys(NAMES, 1.0) | {"case-07": 19.0}
    first, second = split(2, durations)
    assert {len(first), len(second)} == {1, 19}
    loads = [sum(durations[name] for name in names) for names in split(4, durations)]
    assert max(loads) == 19.0
    assert max(loads[1:]) - min(loads[1:]) <= 1.0


def test_case_without_a_record_counts_as_a_usual_one() -> None:
    """A new case does not unbalance the split."""
    durations = dict.fromkeys(NAMES[:-2], 4.0)
    assert [len(names) for names in split(2, durations)] == [10, 10]


def test_split_does_not_depend_on_who_makes_it() -> None:
    """Two jobs that read the same durations make the same split."""
    durations = {name: float(number % 5) for number, name in enumerate(NAMES)}
    assert split(8, durations) == split(8, dict(reversed(durations.items())))


@pytest.mark.parametrize("text", ["9/8", "0/8", "1", "a/b", "1/0", "-1/8", "1/8/2", "", "1/1000"])
def test_shard_that_is_none_is_refused(text: str) -> None:
    """What was given and what is expected are in the message."""
    with pytest.raises(UsageError, match="not a shard") as caught:
        Shard.parse(text)
    assert "such as 2/8" in caught.value.expected


def test_shard_is_read_and_named() -> None:
    """Its report gets a folder of its own."""
    shard = Shard.parse("2/8")
    assert (shard, str(shard)) == (Shard(number=2, total=8), "2/8")
    assert shard.session == "parity-2-of-8"


def test_more_shards_than_cases_are_refused() -> None:
    """An empty shard would compare nothing."""
    with pytest.raises(UsageError, match="shard 1/21 of 20 cases"):
        cases_of_shard(CASES, Shard(number=1, total=21), {})


def compared(name: str, seconds: float, **changes: str) -> CaseRun:
    comparison = CaseComparison(pipeline=name, local="-", remote="-", **changes)  # type: ignore[arg-type]
    return CaseRun(comparison=comparison, duration_s=seconds)


def test_what_lasts_longest_is_begun_first() -> None:
    """By record; without one, what is disturbed comes first, and the rest counts as usual."""
    waits = replace(CASES[5], disturbance=Disturbance(step="slow", deed=Deed.VANISH))
    cases = (*CASES[:5], waits, *CASES[6:])
    durations = {"case-03": 9.0, "case-04": 1.0, "case-07": 5.0}
    names = [case.name for case in longest_first(cases, durations)]
    assert names[:2] == [waits.name, "case-03"]
    assert names[-1] == "case-04"
    assert sorted(names) == sorted(NAMES)
    known = {waits.name: 0.5, "case-01": 9.0, "case-02": 9.0}
    assert longest_first(cases, known)[-1].name == waits.name


def test_file_that_is_none_of_durations_is_not_needed(tmp_path: Path) -> None:
    """A whole run goes without; a shard must not, for its fellows would split otherwise."""
    path = tmp_path / "durations.json"
    path.write_text('{"case-01": 1.0, "ca')
    assert known_durations(path) == {}
    with pytest.raises(UsageError):
        read_durations(path)


def test_durations_are_recorded_and_kept(tmp_path: Path) -> None:
    """What is new replaces what was known of the case; what broke says nothing of its time."""
    path = tmp_path / "new" / "durations.json"
    assert read_durations(path) == {}
    record_durations(path, [compared("a", 1.234), compared("b", 2.0)])
    record_durations(path, [compared("b", 3.0), compared("a", 99.0, broken="gone")])
    assert read_durations(path) == {"a": 1.23, "b": 3.0}


@pytest.mark.parametrize("text", ["", "[]", '{"a": "1"}', '{"a": -1}', "{"])
def test_file_that_holds_no_durations_is_refused(tmp_path: Path, text: str) -> None:
    """A split by nonsense would differ from job to job; recording mends the file."""
    path = tmp_path / "durations.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="does not hold durations"):
        read_durations(path)
    record_durations(path, [compared("a", 1.0)])
    assert read_durations(path) == {"a": 1.0}


def test_durations_that_cannot_be_read_are_broken(tmp_path: Path) -> None:
    """A folder in the place of the file is no empty record."""
    with pytest.raises(BrokenError, match="cannot read"):
        read_durations(tmp_path)
