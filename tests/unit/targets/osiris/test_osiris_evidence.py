"""Nothing of a run is dropped on its way into the evidence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.model.evidence import FileRole
from harness.model.run import CollectedArtifacts, ExecResult, ExecutionContext, PipelineCase
from harness.model.side import Side
from harness.targets.osiris.evidence import gather, read_records

MakeCase = Callable[..., PipelineCase]
PASSED = ExecResult(success=True, exit_code=0, duration_s=1.0)


def test_read_records_a_line_that_does_not_parse_keeps_its_text(tmp_path: Path) -> None:
    """Broken, empty and foreign lines are counted where they stand."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"event": "a"}\nnot json\n\n[1]\n{"event": "b"}\n\xff\n{"cut": ')
    records = read_records(path)
    assert records is not None
    assert [record.line for record in records] == [1, 2, 3, 4, 5, 6, 7]
    assert [record.raw for record in records] == [
        None,
        "not json",
        "",
        "[1]",
        None,
        "\ufffd",
        '{"cut": ',
    ]
    assert records[4].fields == {"event": "b"}


def test_read_records_without_a_file_is_none_and_an_empty_one_is_empty(tmp_path: Path) -> None:
    """Missing is not the same as empty."""
    assert read_records(tmp_path / "missing.jsonl") is None
    (tmp_path / "empty.jsonl").touch()
    assert read_records(tmp_path / "empty.jsonl") == ()


def test_gather_files_are_sorted_by_role_and_path(
    tmp_path: Path, context: ExecutionContext, make_case: MakeCase
) -> None:
    """Each file has its role, its path in it, and the digest of its bytes."""
    outputs = tmp_path / "outputs"
    for path in (
        context.logs_dir / "cfg" / "b.json",
        context.logs_dir / "cfg" / "a.json",
        context.artifacts_dir / "step" / "x.json",
        context.logs_dir / "status.json",
        outputs / "deep" / "out.csv",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}", encoding="utf-8")
    collected = CollectedArtifacts(outputs_dir=outputs)
    case = make_case(outputs=("deep/out.csv",))
    evidence = gather(Side.LOCAL, case, context, PASSED, collected)
    assert [(file.role, file.path) for file in evidence.files] == [
        (FileRole.ARTIFACT, "step/x.json"),
        (FileRole.CFG, "a.json"),
        (FileRole.CFG, "b.json"),
        (FileRole.OUTPUT, "deep/out.csv"),
        (FileRole.STATUS, "status.json"),
    ]
    assert {(file.size_bytes, file.sha256[:8]) for file in evidence.files} == {(2, "44136fa3")}
    assert evidence.status == {}
    assert evidence.promised_outputs == ("deep/out.csv",)


@pytest.mark.parametrize("text", ["{not json", "[1]", ""])
def test_gather_status_that_is_no_object_is_none(
    context: ExecutionContext, make_case: MakeCase, text: str
) -> None:
    """What does not parse is not taken for a status; the file itself stays evidence."""
    context.logs_dir.mkdir(parents=True)
    (context.logs_dir / "status.json").write_text(text, encoding="utf-8")
    evidence = gather(Side.LOCAL, make_case(), context, PASSED, CollectedArtifacts())
    assert evidence.status is None
    assert [file.role for file in evidence.files] == [FileRole.STATUS]


def test_gather_every_session_of_the_events_has_a_token(
    context: ExecutionContext, make_case: MakeCase
) -> None:
    """A session that only the events tell of is volatile; the run's own id keeps its own token."""
    context.logs_dir.mkdir(parents=True)
    lines = f'{{"session": "other"}}\n{{"session": "{context.session_id}"}}\n{{"session": 1}}\n'
    (context.logs_dir / "events.jsonl").write_text(lines, encoding="utf-8")
    collected = CollectedArtifacts(volatile={"sbx": "<sandbox>"})
    evidence = gather(Side.LOCAL, make_case(), context, PASSED, collected)
    assert evidence.volatile is not None
    assert evidence.volatile.items() >= {
        ("other", "<session>"),
        (context.session_id, "<run>"),
        ("sbx", "<sandbox>"),
    }


def test_gather_broken_collection_is_broken_evidence(
    context: ExecutionContext, make_case: MakeCase
) -> None:
    """A success of which nothing was collected, or not all, proves nothing."""
    case = make_case()
    holes = CollectedArtifacts(broken="no after-image")
    assert gather(Side.E2B, case, context, PASSED, holes).broken == "no after-image"
    assert gather(Side.E2B, case, context, PASSED, None).broken is not None
    assert gather(Side.E2B, case, context, PASSED, CollectedArtifacts()).broken is None


@pytest.mark.parametrize(("timed_out", "crashed"), [(True, False), (False, True)])
def test_gather_run_that_was_cut_short_is_a_finding(
    context: ExecutionContext, make_case: MakeCase, *, timed_out: bool, crashed: bool
) -> None:
    """A hang or a crash says something about the product, with or without its files."""
    result = ExecResult(
        success=False, exit_code=1, duration_s=1.0, timed_out=timed_out, crashed=crashed
    )
    holes = CollectedArtifacts(broken="no after-image")
    assert gather(Side.E2B, make_case(), context, result, holes).broken is None


def test_gather_tells_what_stayed_in_the_sandbox(
    tmp_path: Path, context: ExecutionContext, make_case: MakeCase
) -> None:
    """An output that did not come back, and an artifact that was not fetched, say so."""
    outputs, sandbox = tmp_path / "outputs", tmp_path / "sandbox"
    stayed = sandbox / "session" / context.session_id / "artifacts"
    for path in (
        outputs / "came.csv",
        outputs / "stayed.csv",
        context.artifacts_dir / "step" / "came.json",
        stayed / "step" / "came.json",
        stayed / "step" / "stayed.json",
        context.logs_dir / "manifest.yaml",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}", encoding="utf-8")
    collected = CollectedArtifacts(
        outputs_dir=outputs, sandbox_dir=sandbox, undelivered=frozenset({"stayed.csv"})
    )
    evidence = gather(Side.E2B, make_case(), context, PASSED, collected)
    assert {(file.role, file.path): file.delivered for file in evidence.files} == {
        (FileRole.OUTPUT, "came.csv"): True,
        (FileRole.OUTPUT, "stayed.csv"): False,
        (FileRole.ARTIFACT, "step/came.json"): True,
        (FileRole.ARTIFACT, "step/stayed.json"): False,
        (FileRole.RUN, "manifest.yaml"): True,
    }
