"""Cases and pipelines of a user's own are read where they lie, and every fault is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from harness.errors import UsageError
from harness.targets.osiris import own_cases
from harness.targets.osiris.own_cases import load_own_cases, own_allowances_file

PIPELINE = """\
oml_version: "0.1.0"
name: daily
steps:
  - id: people
    component: duckdb.processor
    mode: transform
    config:
      query: SELECT * FROM read_csv('data/people.csv') WHERE name <> 'data/nobody.csv'
  - id: more
    component: filesystem.csv_extractor
    mode: read
    config: {path: data/more.csv}
  - id: save
    component: filesystem.csv_writer
    mode: write
    needs: [people]
    config: {path: reports/daily.csv}
  - id: elsewhere
    component: filesystem.csv_writer
    mode: write
    needs: [more]
    config: {path: /tmp/daily.csv}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        "osiris.yaml": "version: '2.0'\n",
        "osiris_connections.yaml": "connections: {}\n",
        "pipelines/Daily Sales.yaml": PIPELINE,
        "data/people.csv": "name\nAnn\n",
        "data/more.csv": "name\nBob\n",
        "data/other.csv": "not named\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def write_case(folder: Path, name: str, **fields: object) -> Path:
    document = {"name": name, "purpose": "One's own.", "oml": {"oml_version": "0.1.0"}, **fields}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def test_pipeline_is_a_case_with_what_it_names(project: Path) -> None:
    """It runs as it is, beside the files of its project that its steps name, and no others."""
    (case,) = load_own_cases(project / "pipelines")
    assert (case.name, case.oml) == ("daily-sales", PIPELINE)
    assert sorted(case.files) == ["data/more.csv", "data/people.csv", "osiris_connections.yaml"]
    assert case.outputs == ("reports/daily.csv",)
    assert case.expect_success is True


def test_folder_gives_its_cases_by_name_and_a_file_its_own(tmp_path: Path) -> None:
    """A folder is a library; one file is enough, too."""
    write_case(tmp_path, "b")
    first = write_case(tmp_path, "a", expect_success=False)
    assert [case.name for case in load_own_cases(tmp_path)] == ["a", "b"]
    (alone,) = load_own_cases(first)
    assert (alone.name, alone.expect_success) == ("a", False)


def test_own_cases_every_problem_is_named_at_once(tmp_path: Path) -> None:
    """A wrong key, a name of the library, a name that two files make."""
    write_case(tmp_path, "wrong", colour="red")
    write_case(tmp_path, "duckdb-chain")
    for suffix in ("yaml", "yml"):
        (tmp_path / f"daily.{suffix}").write_text(PIPELINE, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        load_own_cases(tmp_path, known=["duckdb-chain"])
    for told in ("unknown key 'colour'", "already", "another file makes a case 'daily'"):
        assert told in caught.value.happened


@pytest.mark.parametrize(("name", "told"), [("nowhere", "no file"), ("", "no case")])
def test_own_cases_nothing_there_is_refused(name: str, told: str, tmp_path: Path) -> None:
    """A run that compares nothing would be no verdict."""
    with pytest.raises(UsageError, match=told):
        load_own_cases(tmp_path / name)


def test_pipeline_with_files_beyond_measure_is_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run would copy them."""
    monkeypatch.setattr(own_cases, "MAX_FILES_BYTES", 10)
    with pytest.raises(UsageError, match="bytes"):
        load_own_cases(project / "pipelines")


def test_own_allowances_lie_beside_the_cases(project: Path) -> None:
    """What is accepted of one's own cases is no part of the product's file."""
    pipelines = project / "pipelines"
    assert own_allowances_file(pipelines) == project / "pipelines.allowances.toml"
    beside = own_allowances_file(pipelines / "Daily Sales.yaml")
    assert beside == pipelines / "Daily Sales.allowances.toml"
