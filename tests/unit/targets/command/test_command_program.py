from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.targets.command import CommandProgram, requirements_of, variables_of
from harness.targets.command.controls import FAILING, FAULTS, control_program, spoilt

PATH = os.pathsep.join(os.get_exec_path())


def program(folder: Path, *words: str, **changes: object) -> CommandProgram:
    return CommandProgram(words=words, folder=folder, path=PATH, **changes)  # type: ignore[arg-type]


def test_variables_take_a_value_or_the_one_around() -> None:
    """The last one of a name holds; an empty value is a value."""
    found = variables_of(["A=1", "B", "C=", "A=2=3"], {"B": "here", "Z": "not asked for"})
    assert found == {"A": "2=3", "B": "here", "C": ""}


@pytest.mark.parametrize("word", ["1A=x", "A-B=x", "=x", "UNSET", ""])
def test_variable_that_is_none_is_refused_without_its_value(word: str) -> None:
    """A value may be a secret: only names are told."""
    with pytest.raises(UsageError) as refused:
        variables_of([word, "GOOD=1", "BAD NAME=hidden"], {})
    assert "BAD NAME" in refused.value.happened
    assert "hidden" not in str(refused.value)


def test_requirements_are_packages_and_nothing_else(tmp_path: Path) -> None:
    """Comments and blank lines go; an option of pip is refused by name."""
    file = tmp_path / "requirements.txt"
    file.write_text("# mine\npandas==2.2  # data\n\nrich>=13 ; python_version > '3.8'\n")
    assert requirements_of(file) == ("pandas==2.2", "rich>=13 ; python_version > '3.8'")
    assert requirements_of(None) == ()
    file.write_text("-r other.txt\n")
    with pytest.raises(UsageError, match="-r other"):
        requirements_of(file)
    with pytest.raises(UsageError, match="missing"):
        requirements_of(tmp_path / "missing.txt")


def test_case_is_named_after_the_folder(tmp_path: Path) -> None:
    """Fit for a file name; its allowances lie beside it."""
    folder = tmp_path / "My Job (2)"
    folder.mkdir()
    made = program(folder, "true")
    assert made.case.name == "my-job-2"
    assert made.allowances_file == tmp_path / "My Job (2).allowances.toml"


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ((), {}),
        (("no-such-program-here",), {}),
        (("./not-executable",), {}),
        (("true",), {"deadline_s": 0}),
        (("true",), {"deadline_s": 1e9}),
    ],
    ids=["no-words", "unknown", "not-executable", "no-deadline", "endless"],
)
def test_program_that_cannot_run_is_refused(
    tmp_path: Path, words: tuple[str, ...], changes: dict[str, object]
) -> None:
    """Before anything is started."""
    (tmp_path / "not-executable").write_text("x")
    with pytest.raises(UsageError):
        program(tmp_path, *words, **changes)


def test_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """With the option that named it."""
    with pytest.raises(UsageError, match="--files"):
        program(tmp_path / "missing", "true")


def test_spoilt_program_is_the_program_within_another() -> None:
    """Its own words come last, and each fault of the list is known to the script."""
    honest = control_program(PATH, fails=True)
    faulty = spoilt(honest, "row lost")
    assert faulty.words[-4:] == ("row lost", "python3", "job.py", "--fail")
    assert faulty.case.name == honest.case.name
    assert all(f'"{name}"' in faulty.words[2] for name in (*FAULTS, *FAILING))
