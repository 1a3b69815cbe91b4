"""The faults themselves, planted into a small literal run."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.model.evidence import Evidence
from harness.model.run import CollectedArtifacts, ExecResult, ExecutionContext, PipelineCase
from harness.model.side import Side
from harness.parity import compare_case
from harness.parity.controls import FAILURE_FAULTS, FAULTS, Fault, Scene, UnfitError
from harness.parity.controls.cells import Cells
from harness.targets.osiris.evidence import gather

CASE = PipelineCase(name="small", purpose="a case", oml="", outputs=("out.csv",))
TABLE = (
    "id,name,amount,moment,flag,day,note\n"
    "1,one,-0.125,2026-01-01T08:00:00.250+00:00,True,2026-01-01, padded \n"
    "2,two,1.50,2026-01-02T08:00:00+00:00,False,2026-01-02,\n"
    '3,"a, b",2.75,2026-01-03T08:00:00+00:00,True,2026-01-03,caf\xe9\n'
)
AT = "2026-11-23T05:22:58.439735+00:00"
SESSION = "20261123_052258_9ab93595"
EVENTS = [
    {"ts": AT, "event": "run_start", "session": SESSION},
    {"ts": AT, "event": "step_start", "step_id": "load", "driver": "a.b"},
    {"ts": AT, "event": "step_complete", "step_id": "load", "rows": 3, "session": SESSION},
    {"ts": AT, "event": "step_start", "step_id": "write", "driver": "c.d"},
    {"ts": AT, "event": "step_complete", "step_id": "write", "rows": 3},
]
FAILED = {"event": "step_failed", "step_id": "write", "error": "no such table"}
METRICS = [
    {"metric": "rows_written", "value": 3, "step_id": "write"},
    {"metric": "rows_read", "value": 3, "step_id": "load"},
]


def made(root: Path, *, fails: bool) -> tuple[ExecutionContext, ExecResult, CollectedArtifacts]:
    context = ExecutionContext(
        session_id="s1", base_path=root, started_at=datetime(2026, 11, 23, tzinfo=UTC)
    )
    outputs, config = root / "outputs", context.artifacts_dir / "load" / "cleaned_config.json"
    outputs.mkdir(parents=True)
    config.parent.mkdir(parents=True)
    (outputs / "out.csv").write_text(TABLE)
    config.write_text('{"query": "SELECT 1"}')
    (context.logs_dir / "status.json").write_text('{"ok": true, "steps_total": 2}')
    events = [*EVENTS[:-1], FAILED] if fails else EVENTS
    for name, records in (("events", events), ("metrics", METRICS)):
        lines = "".join(json.dumps(record) + "\n" for record in records)
        (context.logs_dir / f"{name}.jsonl").write_text(lines)
    (context.logs_dir / "osiris.log").write_text("2026-11-23 06:22:27 - a.b - [s] - INFO - hi\n")
    result = ExecResult(
        success=not fails,
        exit_code=int(fails),
        duration_s=1.0,
        error_message="no such table" if fails else None,
        stdout="hello\n",
    )
    return (
        context,
        result,
        CollectedArtifacts(
            outputs_dir=outputs,
            volatile={"20261123_052258_9ab93595": "<session>"},
            wire={"environment": {"A": "set"}, "files": {}},
        ),
    )


def gathered(
    context: ExecutionContext, result: ExecResult, collected: CollectedArtifacts, side: Side
) -> Evidence:
    return gather(side, CASE, context, result, collected)


def tree(root: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mode)
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


# An event that only the sandbox has is a matter of the product, not of this run.
EVERYWHERE = [fault for fault in FAULTS if fault.name != "known event once more than is known"]


@pytest.mark.parametrize(
    ("fault", "fails"),
    [(fault, False) for fault in EVERYWHERE] + [(fault, True) for fault in FAILURE_FAULTS],
    ids=lambda value: value.name if isinstance(value, Fault) else str(value),
)
def test_fault_is_found_at_its_place_and_undone(
    tmp_path: Path, fault: Fault, *, fails: bool
) -> None:
    """Each one shows where it says, and leaves nothing behind."""
    mine, theirs = made(tmp_path / "l", fails=fails), made(tmp_path / "r", fails=fails)
    local = gathered(*mine, Side.LOCAL)
    before = tree(tmp_path)
    scene = Scene(*theirs, local)
    with scene.kept():
        path = fault.plant(scene)
        remote = gathered(theirs[0], scene.result, scene.collected, Side.E2B)
        found = compare_case(local, local, remote)
    assert [item.path for item in found.differences if item.path.startswith(path)]
    assert found.broken is None
    assert tree(tmp_path) == before
    assert (scene.result, scene.collected) == theirs[1:]
    clean = compare_case(local, local, gathered(*theirs, Side.E2B))
    assert clean.differences == ()


def test_names_of_faults_are_unique() -> None:
    """A missed fault can be named."""
    for faults in (FAULTS, FAILURE_FAULTS):
        assert len({fault.name for fault in faults}) == len(faults)
    assert len(FAULTS) + len(FAILURE_FAULTS) >= 40


def test_fault_that_fits_nothing_says_what_it_needs(tmp_path: Path) -> None:
    """Control: a fault is never counted that changed nothing."""
    context, result, collected = made(tmp_path, fails=False)
    local = gathered(context, result, collected, Side.LOCAL)
    for name in ("out.csv",):
        (tmp_path / "outputs" / name).write_text("a\n")
    scene = Scene(context, replace(result, stdout=""), collected, local)
    rounded = next(fault for fault in FAULTS if fault.name == "float rounded")
    with scene.kept(), pytest.raises(UnfitError, match="rows"):
        rounded.plant(scene)


def test_cells_are_written_back_as_they_were_read() -> None:
    """Quotes, commas and line ends inside a cell stay; one cell is changed and no other."""
    data = b'a,b\r\n"x, ""y""\r\nz",\r\n1,2\r\n'
    table = Cells.of(data)
    assert table.written() == data
    assert table.rows[0] == (b'"x, ""y""\r\nz"', b"")
    changed, row, column = table.with_cell(rb"\d", lambda cell: cell + b"0")
    assert (changed, row, column) == (data.replace(b"1,2", b"10,2"), (b"10", b"2"), b"a")
    with pytest.raises(UnfitError):
        table.with_cell(rb"nothing like it", lambda cell: cell)
