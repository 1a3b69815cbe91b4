"""What is drawn is the same for the same seed, and a pipeline that Osiris would read."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import duckdb
import pytest
import yaml

from harness.targets.osiris.case_library import load_case
from harness.targets.osiris.exploration import OsirisSketch, case_text, draw_sketches
from harness.targets.osiris.exploration.steps import (
    COLUMNS,
    FAULTS,
    WRITER_OPTIONS,
    Extract,
    Generate,
    Operation,
    Probe,
    Transform,
    Write,
)

SOME = 40
FEW = 8


@pytest.fixture(scope="module")
def sketches() -> tuple[OsirisSketch, ...]:
    return draw_sketches(count=SOME, seed_number=7)


def test_same_seed_draws_the_same_pipelines() -> None:
    """A find can be found again; another seed finds other pipelines."""
    drawn = draw_sketches(count=FEW, seed_number=7)
    assert draw_sketches(count=FEW, seed_number=7) == drawn
    assert draw_sketches(count=FEW, seed_number=8) != drawn


def test_drawn_pipelines_are_different_and_as_many_as_asked_for(
    sketches: tuple[OsirisSketch, ...],
) -> None:
    """No pipeline is run twice."""
    assert len(sketches) == len(set(sketches)) == SOME


def test_drawn_pipelines_need_only_earlier_tables(sketches: tuple[OsirisSketch, ...]) -> None:
    """Every step finds what it needs before it, and names are used once."""
    for sketch in sketches:
        names = [step.id for step in sketch.steps]
        assert len(set(names)) == len(names)
        for number, step in enumerate(sketch.steps):
            assert set(step.needs) <= set(names[:number])


def test_drawn_pipelines_hold_every_kind_of_step(sketches: tuple[OsirisSketch, ...]) -> None:
    """Chains, fan-in, fan-out, files, failures and options are all among them."""
    kinds = Counter(type(step) for sketch in sketches for step in sketch.steps)
    assert set(kinds) == {Generate, Extract, Transform, Write}
    steps = [step for sketch in sketches for step in sketch.steps]
    assert any(isinstance(step, Generate) and step.fault for step in steps)
    assert any(isinstance(step, Transform) and len(step.needs) > 1 for step in steps)
    assert any(isinstance(step, Write) and step.options for step in steps)
    readers = (Counter(name for step in sketch.steps for name in step.needs) for sketch in sketches)
    assert any(count > 1 for used in readers for count in used.values())


def test_drawn_pipeline_as_a_file_is_the_same_case(
    sketches: tuple[OsirisSketch, ...], tmp_path: Path
) -> None:
    """What is saved can be run again as a case of the library, comments and all."""
    for number, sketch in enumerate(sketches):
        case = sketch.case(f"explored-{number}", purpose="Drawn at random.")
        path = tmp_path / f"explored-{number}.yaml"
        path.write_text(case_text(case, notes=["what: differs\n- or not", "x" * 200]))
        read = load_case(path)
        assert yaml.safe_load(read.oml) == yaml.safe_load(case.oml)
        assert (read.files, read.env, read.outputs) == (case.files, case.env, case.outputs)
        assert (read.expect_success, read.deadline_s) == (None, case.deadline_s)


@pytest.mark.parametrize("rows", [0, 1, 3, 7])
def test_every_column_is_sql_that_answers_the_same_twice(rows: int) -> None:
    """Typed data of any number of rows: the query runs, and has no noise of its own."""
    step = Generate(id="generate", columns=tuple(COLUMNS), rows=rows)
    query = f"SELECT COLUMNS(*)::VARCHAR FROM ({step.query()})"  # noqa: S608 - its own words
    answers = [duckdb.execute(query).fetchall() for _ in range(2)]
    assert len(answers[0]) == rows
    assert answers[0] == answers[1]


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_every_fault_fails(fault: str) -> None:
    """A query that is meant to fail does."""
    with pytest.raises(duckdb.Error):
        duckdb.execute(Generate(id="generate", fault=fault).query()).fetchall()


@pytest.mark.parametrize("operation", list(Operation))
def test_every_operation_reads_the_tables_before_it(operation: Operation) -> None:
    """Tables are found under the names that Osiris documents, awkward ones included."""
    with duckdb.connect() as db:
        db.execute("CREATE TABLE df__2nd AS SELECT 1 AS id")
        db.execute("CREATE TABLE df_with_dot AS SELECT 2 AS id")
        step = Transform(id="x", needs=("2nd", "with.dot"), operation=operation)
        assert db.execute(step.query()).fetchall()


def test_smaller_pipelines_are_whole_pipelines(sketches: tuple[OsirisSketch, ...]) -> None:
    """Each cut leaves steps that find what they need, and is tried once."""
    for sketch in sketches:
        cuts = list(sketch.smaller())
        assert len(set(cuts)) == len(cuts)
        assert sketch not in cuts
        for cut in cuts:
            assert cut.steps
            names = [step.id for step in cut.steps]
            assert len(set(names)) == len(names)
            for number, step in enumerate(cut.steps):
                assert set(step.needs) <= set(names[:number])


def test_smallest_pipeline_has_nothing_smaller() -> None:
    """Shrinking ends: one step, one row, one column."""
    smallest = OsirisSketch(steps=(Generate(id="generate"),))
    assert [cut for cut in smallest.smaller() if cut.weight < smallest.weight] == []


def test_plain_names_weigh_less_than_short_odd_ones() -> None:
    """Who reads the smallest pipeline, and the next find, have the same names in it."""
    odd = OsirisSketch(steps=(Generate(id="2nd"), Write(id="x", needs=("2nd",), number=4)))
    plain = next(odd.smaller())
    assert [step.id for step in plain.steps] == ["generate", "write"]
    assert plain.case("one", purpose="").outputs == ("output/rows-1.csv",)
    assert plain.weight < odd.weight
    assert plain.size_bytes > odd.size_bytes
    assert next(plain.smaller()).step_count == 1


def test_details_of_a_pipeline_are_in_its_case() -> None:
    """Options, parameters, variables and files reach the case that is run."""
    steps = (
        Generate(id="generate", parameter=True),
        Generate(id="asks", probe=Probe.VARIABLE),
        Generate(id="looks", probe=Probe.FILE),
        Extract(id="extract", rows=2, delimiter=";", encoding="latin-1"),
        Write(id="write", needs=("extract",), options=(("newline", "crlf"),)),
        Write(id="named", needs=("generate",), number=2, parameter=True),
    )
    case = OsirisSketch(steps=steps).case("one", purpose="All of it.")
    assert set(case.env) == {"OSIRIS_PARAM_GREETING", "OSIRIS_PARAM_FILE", "HARNESS_COLOUR"}
    assert case.outputs == ("output/rows-1.csv", "output/named.csv")
    assert case.files["input/extract.csv"].startswith(b"id;name\n1;Ada\n")
    assert "input/lookup.csv" in case.files
    config = yaml.safe_load(case.oml)["steps"][4]["config"]
    assert config == {"path": "output/rows-1.csv", "newline": "crlf"}
    assert set(WRITER_OPTIONS) >= set(config) - {"path"}


def test_steps_of_one_kind_get_different_plain_names() -> None:
    """As many as a drawn pipeline may have, and none under the name of another."""
    first = Generate(id="first")
    writers = [Write(id=f"orders-{number}", needs=("first",), number=number) for number in range(6)]
    plain = next(OsirisSketch(steps=(first, *writers)).smaller())
    names = [step.id for step in plain.steps]
    assert len(set(names)) == 7
    assert names[0] == "generate"
