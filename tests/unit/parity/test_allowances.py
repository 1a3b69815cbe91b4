from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from harness.errors import BrokenError, UsageError
from harness.model.difference import Allowance, Difference
from harness.parity.allowances import append_allowance, load_allowances, read_entry
from harness.parity.proposals import as_toml, proposal

HEAD = 'schema = 1\nproduct = "p"\nversion = "1"\n'
ENTRY = """
[[allowance]]
path = "events/x"
kind = "missing"
pipelines = ["b", "a"]
reason = "the worker never sends it"
link = "docs/why.md"
expires = 2030-06-30
count = 3
"""
DIFFERENCE = Difference(
    id="0a1b2c3d4e",
    path="files/output/a*[1].csv/columns/x",
    kind="value",
    local='row 1: "a"',
    remote='row 1: "b"',
    pipelines=("one", "two"),
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "allowances" / "1.toml"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def entry_of(difference: Difference, *others: Difference, reason: str = "r") -> str:
    proposed = proposal(
        difference, reason=reason, expires=date(2030, 1, 1), occurrences=[difference, *others]
    )
    return as_toml(proposed)


def load(path: Path) -> tuple[Allowance, ...]:
    return load_allowances(path, product="p", version="1").allowances


def test_causes_are_read_and_accept_nothing(file: Path) -> None:
    """A cause is about any pipeline, for as long as the product is this version."""
    cause = '[[cause]]\npath = "outcome"\nwhen = "failed"\nreason = "r"\nlink = "w.md"\n'
    loaded = load_allowances(write(file, HEAD + cause), product="p", version="1")
    assert loaded.allowances == ()
    (found,) = loaded.causes
    assert (found.about.path, found.about.link, found.of_failures) == ("outcome", "w.md", True)
    assert found.about.source.endswith(":4")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("", "`link` is missing"),
        ('link = " "', "`link` must not be empty"),
        ('link = "w"\npipelines = ["a"]', "unknown key 'pipelines'"),
        ('link = "w"\nwhen = "green"', '`when` must be "failed"'),
        ('link = "w"\nbeside = 3', "`beside` must be text"),
    ],
)
def test_wrong_cause_is_refused(file: Path, line: str, told: str) -> None:
    """A cause without a page, or for some pipelines only, is none."""
    write(file, f'{HEAD}[[cause]]\npath = "outcome"\nreason = "r"\n{line}\n')
    with pytest.raises(UsageError, match="line 4") as caught:
        load(file)
    assert told in caught.value.happened


def test_file_followed_by_another_has_both(file: Path, tmp_path: Path) -> None:
    """What is accepted from then on goes into the second one."""
    first = load_allowances(write(file, HEAD + ENTRY), product="p", version="1")
    own = load_allowances(tmp_path / "own.toml", product="p", version="1")
    both = first.followed_by(own)
    assert (both.allowances, both.path) == (first.allowances, own.path)
    assert both.paths == (file, own.path)


def test_entry_is_read_whole(file: Path) -> None:
    """Every key arrives, and the source says file and line."""
    assert load(write(file, HEAD + ENTRY)) == (
        Allowance(
            path="events/x",
            kind="missing",
            pipelines=("a", "b"),
            reason="the worker never sends it",
            link="docs/why.md",
            expires=date(2030, 6, 30),
            source="1.toml:5",
            count=3,
        ),
    )


def test_file_that_is_not_there_holds_none(file: Path) -> None:
    """A version without a file accepts nothing."""
    assert load(file) == ()


def test_every_problem_of_a_file_is_named_at_once(file: Path) -> None:
    """One run shows all that is to be corrected, each with its line."""
    bad = """
[[allowance]]
kind = "changed"
pipelines = ["a", "a"]
reason = " "
expires = "soon"
count = 0
per = "line"
colour = "red"
[[allowance]]
path = 7
"""
    with pytest.raises(UsageError) as raised:
        load(write(file, 'schema = 2\nproduct = "q"\nversion = "1"\nextra = 1\n' + bad))
    for words in (
        "`schema` is 2",
        "`product` is 'q'",
        "unknown key 'extra'",
        "line 6: unknown key 'colour'",
        "line 6: `path` is missing",
        "`kind` is 'changed', expected one of value",
        "names a pipeline twice",
        "`reason` must not be empty",
        "`expires` must be a date like 2027-06-30, not 'soon'",
        '`per` must be "run" or "step", not \'line\'',
        "`count` must be a whole number above zero",
        "line 14: `reason` is missing",
        "line 14: `expires` is missing",
        "line 14: `path` must be text, not 7",
    ):
        assert words in raised.value.happened, words


@pytest.mark.parametrize(
    "text", ["not toml", "allowance = 1\n" + HEAD, HEAD + ENTRY.replace("2030-06-30", "2030-13-01")]
)
def test_file_that_is_not_ours_is_refused(file: Path, text: str) -> None:
    """Bad input ends in what was expected, not in a traceback."""
    with pytest.raises(UsageError, match="is not a file of allowances"):
        load(write(file, text))


def test_file_that_cannot_be_read_is_broken(file: Path) -> None:
    """A folder in the file's place is no empty file."""
    file.mkdir(parents=True)
    with pytest.raises(BrokenError, match="cannot read"):
        load(file)


def test_pasted_entry_accepts_exactly_the_difference(file: Path) -> None:
    """What the report offers can be pasted as it is."""
    entry = entry_of(DIFFERENCE, reason='he said "so"\n')
    (allowance,) = load(write(file, HEAD + entry))
    assert allowance.path == "files/output/a[*][[]1].csv/columns/x"
    assert (allowance.kind, allowance.pipelines) == ("value", ("one", "two"))
    assert allowance.reason == 'he said "so"\n'
    assert (allowance.local, allowance.remote) == ('row 1: "a"', 'row 1: "b"')
    assert allowance.count == 1


def test_entry_for_what_is_missing_names_its_place_and_its_number(file: Path) -> None:
    """A lost event is told by its name; what it held is not part of the debt."""
    lost = replace(DIFFERENCE, path="events/x", kind="missing", remote=None, count=3)
    (allowance,) = load(write(file, HEAD + entry_of(lost)))
    assert (allowance.local, allowance.remote, allowance.count) == (None, None, 3)


def test_entry_for_an_error_names_the_error(file: Path) -> None:
    """Another error at the same path is another difference, so its text is pinned."""
    error = replace(DIFFERENCE, path="outcome", local="succeeded", remote="failed: no [x]*")
    (allowance,) = load(write(file, HEAD + entry_of(error)))
    assert (allowance.local, allowance.remote) == ("succeeded", "failed: no [[]x][*]")


def test_entry_for_an_error_that_varies_has_a_star_there(file: Path) -> None:
    """One cause in two pipelines is one entry, also where its words name the step."""
    error = replace(DIFFERENCE, path="error/text", local=None, remote="no df_a here")
    text = entry_of(error, replace(error, remote="no df_bc here"))
    (allowance,) = load(write(file, HEAD + text))
    assert (allowance.local, allowance.remote) == (None, "no df_* here")


def test_entry_reads_back_as_it_was_written() -> None:
    """Writing and reading an entry are inverse."""
    written = proposal(DIFFERENCE, reason="r", expires=date(2030, 1, 1))
    assert read_entry(as_toml(written)) == written
    assert read_entry(as_toml(replace(written, count=2, kind=None, per="step"))) == replace(
        written, count=2, kind=None, per="step"
    )
    for bad in ("", "x", '[[allowance]]\npath = ""\n'):
        with pytest.raises(UsageError):
            read_entry(bad)


def test_append_makes_the_file_and_keeps_what_was_there(file: Path) -> None:
    """Comments and order of a file stay; the new entry comes last."""
    first = entry_of(DIFFERENCE)
    append_allowance(file, first, product="p", version="1")
    write(file, file.read_text(encoding="utf-8") + "# kept\n")
    second = entry_of(replace(DIFFERENCE, path="exit_code"), reason="s")
    added = append_allowance(file, second, product="p", version="1")
    assert [item.reason for item in added.allowances] == ["r", "s"]
    assert "# kept\n" in file.read_text(encoding="utf-8")
    assert [path.name for path in file.parent.iterdir()] == ["1.toml"]


def test_append_refuses_a_bad_entry_and_leaves_the_file(file: Path) -> None:
    """Control: nothing that cannot be read is ever written."""
    write(file, HEAD)
    with pytest.raises(UsageError):
        append_allowance(file, '[[allowance]]\npath = ""\n', product="p", version="1")
    assert file.read_text(encoding="utf-8") == HEAD
    assert [path.name for path in file.parent.iterdir()] == ["1.toml"]


def test_append_where_nothing_can_be_written_is_broken(tmp_path: Path) -> None:
    """A folder that cannot be made ends in three lines."""
    write(tmp_path / "occupied", "")
    with pytest.raises(BrokenError, match="cannot write"):
        append_allowance(tmp_path / "occupied" / "1.toml", ENTRY, product="p", version="1")
