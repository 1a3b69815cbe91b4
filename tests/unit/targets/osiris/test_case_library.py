"""A case file is read strictly, and all that is wrong with it is told at once."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from harness.errors import UsageError
from harness.model.run import Deed, Disturbance
from harness.targets.osiris.case_library import CASES, FIXTURES, load_case, load_cases
from harness.targets.osiris.services import KNOWN_NEEDS

GOOD = """
name: good
purpose: It is
  short.
oml:
  oml_version: "0.1.0"
  steps: [{id: a, component: duckdb.processor}]
files:
  input/a.csv: "id\\n1\\n"
  input/b.bin: {base64: AAH/}
env: {WORD: "w"}
outputs: [out/a.csv]
expect_success: null
deadline_s: 5
arguments: [--out, "shipped"]
needs: [mysql]
sandbox_timeout_s: 20
faults: [{ route: "* /files", delay_s: 0.5 }]
disturbance: { step: a, deed: advance, seconds: 61 }
"""


def write(folder: Path, text: str, name: str = "good") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(folder: Path, text: str, name: str = "good") -> str:
    with pytest.raises(UsageError) as caught:
        load_case(write(folder, text, name))
    return caught.value.happened


def test_load_case_every_field_is_read(tmp_path: Path) -> None:
    """What stands in the file is what is in the case."""
    case = load_case(write(tmp_path, GOOD))
    assert (case.name, case.purpose) == ("good", "It is short.")
    assert yaml.safe_load(case.oml)["steps"][0]["id"] == "a"
    assert case.files == {"input/a.csv": b"id\n1\n", "input/b.bin": b"\x00\x01\xff"}
    assert (case.env, case.outputs) == ({"WORD": "w"}, ("out/a.csv",))
    assert (case.expect_success, case.deadline_s) == (None, 5.0)
    assert (case.arguments, case.needs) == (("--out", "shipped"), ("mysql",))
    assert (case.sandbox_timeout_s, case.faults) == (20, ({"route": "* /files", "delay_s": 0.5},))
    assert case.disturbance == Disturbance(step="a", deed=Deed.ADVANCE, seconds=61.0)


def test_load_case_oml_as_text_is_kept_to_the_byte(tmp_path: Path) -> None:
    """A pipeline that is to be malformed can be written as text."""
    case = load_case(write(tmp_path, "name: good\npurpose: p\noml: |\n  steps: [broken\n"))
    assert case.oml == "steps: [broken\n"


def test_load_case_all_problems_are_told_together(tmp_path: Path) -> None:
    """One reading of the message is enough to correct the file."""
    text = """
name: Not A Name
oml: []
files: {"/etc/passwd": x, "a/../../b": x, c: {base64: "%"}, d: 1}
env: {"1X": "a", NUMBER: 1}
outputs: [/abs, ok, ok]
expect_success: "yes"
deadline_s: -1
arguments: --out
needs: [oracle]
sandbox_timeout_s: 0.5
faults: [{ status: 503 }]
disturbance: { step: a, deed: explode }
colour: blue
"""
    told = problems(tmp_path, text)
    for part in (
        "unknown key 'colour'",
        "name:",
        "purpose:",
        "oml:",
        "'/etc/passwd'",
        "'a/../../b'",
        "files: 'c'",
        "files: 'd'",
        "'1X'",
        "NUMBER",
        "'/abs'",
        "stands twice",
        "expect_success:",
        "deadline_s:",
        "arguments:",
        "needs: expected a list out of mysql",
        "sandbox_timeout_s:",
        "faults:",
        "disturbance:",
    ):
        assert part in told


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[]", "expected a mapping"),
        ("", "expected a mapping"),
        ("name: [", "not a case"),
        ("name: good\nname: good\n", "stands twice"),
        ("name: other\npurpose: p\noml: x\n", "the file's own name 'good'"),
        ("name: good\npurpose: p\noml: x\ndeadline_s: true\n", "deadline_s"),
        ("name: good\npurpose: p\noml: x\ndeadline_s: .nan\n", "deadline_s"),
        ("name: good\npurpose: p\noml: x\nfiles: [a]\n", "files: expected a mapping"),
        (
            "name: good\npurpose: p\noml: x\ndisturbance: {step: a, deed: interrupt}\n",
            "only a command line can be interrupted",
        ),
        ("name: !!python/object/apply:os.getcwd []\n", "not a case"),
    ],
)
def test_load_case_that_is_none_is_refused(tmp_path: Path, text: str, part: str) -> None:
    """Neither malformed YAML nor a wrong type gets through."""
    assert part in problems(tmp_path, text)


def test_load_case_bytes_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    """The message names the file."""
    path = tmp_path / "good.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"good\.yaml"):
        load_case(path)


def test_load_cases_names_the_problems_of_every_file(tmp_path: Path) -> None:
    """Two bad files are told together; a good one alone is loaded."""
    write(tmp_path, GOOD)
    assert [case.name for case in load_cases(tmp_path)] == ["good"]
    write(tmp_path, "[]", "bad-one")
    write(tmp_path, "[]", "bad-two")
    with pytest.raises(UsageError, match=r"bad-one.*bad-two"):
        load_cases(tmp_path)


def test_library_has_what_is_promised() -> None:
    """The cases that parity compares and the pipelines of the fixtures are all there."""
    cases = {case.name for case in load_cases(CASES)}
    fixtures = {case.name for case in load_cases(FIXTURES)}
    assert cases >= {
        "bad-sql",
        "csv-extract",
        "does-not-compile",
        "duckdb-chain",
        "empty-result",
        "environment-variables",
        "failing-middle-step",
        "fan-in-join",
        "generate-to-csv",
        "rows-10",
        "rows-100",
        "rows-1000",
        "two-outputs",
        "types-nulls-unicode",
        "writer-options",
    }
    assert fixtures >= {
        "error_pipeline",
        "resource_intensive_pipeline",
        "small_pipeline",
        "timeout_prone_pipeline",
    }
    assert not cases & fixtures


def test_library_is_wide_enough() -> None:
    """At least forty cases; each kind of thing that can happen to a run has one."""
    cases = load_cases(CASES)
    assert len(cases) >= 40
    text = "".join(case.oml for case in cases)
    for component in ("duckdb.processor", "filesystem.csv_extractor", "filesystem.csv_writer"):
        assert component in text
    assert {case.disturbance.deed for case in cases if case.disturbance} == set(Deed)
    assert {need for case in cases for need in case.needs} == KNOWN_NEEDS
    assert any(case.faults for case in cases)
    assert {False, True, None} == {case.expect_success for case in cases}
    options = {word for case in cases for word in case.arguments or ()}
    assert {"--dry-run", "--out", "--cpu", "--memory-gb"} <= options


def test_library_case_is_one_small_file_that_says_what_it_is_for() -> None:
    """A reader sees a case at a glance; a purpose is a sentence of its own."""
    cases = load_cases(CASES)
    assert [path.name for path in CASES.glob("*.yaml") if path.stat().st_size > 16_000] == []
    purposes = [case.purpose for case in cases]
    assert len(set(purposes)) == len(purposes)
    assert [text for text in purposes if not text.endswith(".") or len(text) < 30] == []
