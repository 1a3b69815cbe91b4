"""A leak of the product is new unless an entry accepts it; an entry without a leak is stale."""

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.redaction.accepted_leaks import (
    AcceptedLeak,
    ProductLeak,
    as_toml,
    judge_leaks,
    load_accepted,
)

LEAK = ProductLeak(
    case="in-query", side="e2b", secret="DB_PASSWORD", where="run_<run>/a[0].log", encoding="hex"
)


def accepted(**changes: str) -> AcceptedLeak:
    entry = {"secret": "DB_PASSWORD", "case": "*", "side": "*", "where": "run_*", "reason": "known"}
    return AcceptedLeak(**{**entry, **changes})


def test_judge_leaks_one_that_is_covered_is_accepted() -> None:
    """An entry accepts what it names, by stars too; brackets stand for themselves."""
    for entry in (accepted(), accepted(where="run_<run>/a[0].log", side="e2b", case="in-query")):
        judged = judge_leaks([LEAK, LEAK], [entry])
        assert (judged.new, judged.accepted, judged.stale) == ((), (LEAK,), ())


@pytest.mark.parametrize(
    "other", [{"secret": "OTHER"}, {"case": "x"}, {"side": "local"}, {"where": "run_<run>/a0.log"}]
)
def test_judge_leaks_in_another_place_is_new_and_the_entry_stale(other: dict[str, str]) -> None:
    """Secret, case, side and place: each of them makes a leak another one."""
    judged = judge_leaks([LEAK], [accepted(**other)])
    assert judged.new == (LEAK,)
    assert judged.stale == (accepted(**other),)


def test_load_accepted_reads_what_as_toml_proposes(tmp_path: Path) -> None:
    """The entry to paste needs a reason, and then accepts the leak."""
    path = tmp_path / "leaks.toml"
    path.write_text(as_toml(LEAK))
    with pytest.raises(UsageError, match="reason must be a text"):
        load_accepted(path)
    path.write_text(as_toml(LEAK).replace('reason = ""', 'reason = "known"'))
    assert judge_leaks([LEAK], load_accepted(path)).new == ()
    assert load_accepted(tmp_path / "none.toml") == ()


@pytest.mark.parametrize("text", ["[[leak]]\nsecret = 1\n", "nonsense", "[[leaks]]\n"])
def test_load_accepted_refuses_a_bad_file(text: str, tmp_path: Path) -> None:
    """A file that says something else accepts nothing in silence."""
    path = tmp_path / "leaks.toml"
    path.write_text(text)
    with pytest.raises(UsageError):
        load_accepted(path)
