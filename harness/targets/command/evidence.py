"""Turns one run of a program into evidence: files, the rest of its folder, its environment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.model.evidence import Evidence, FileEvidence, FileRole
from harness.model.run import CollectedArtifacts, ExecResult, ExecutionContext, Json, PipelineCase
from harness.model.side import Side
from harness.targets.command.adapter import WRITTEN
from harness.targets.command.conversation import Answer, Entry, printable, read_answer
from harness.targets.command.program import CommandProgram

__all__ = ["gather"]


def gather(
    program: CommandProgram,
    *,
    side: Side,
    case: PipelineCase,
    context: ExecutionContext,
    result: ExecResult,
    collected: CollectedArtifacts | None,
) -> Evidence:
    """Everything that a user could observe of the run.

    Files are output data; in a home folder they are artifacts, under `home/`. What
    became of the folder otherwise stands in the status: new folders with their modes,
    links with their targets, what was removed, and, where asked for, the environment.

    Args:
        program: what ran.
        side: where it ran.
        case: the program as a case.
        context: the run's own folder.
        result: how it ended.
        collected: what it wrote; None where nothing was collected.

    Raises:
        BrokenError: if the run's answer is not there any more.
    """
    answer = read_answer(context.base_path, program)
    collected = collected or CollectedArtifacts(broken="nothing of the run was collected")
    files = () if collected.broken else tuple(_files(context.base_path / WRITTEN, answer))
    return Evidence(
        pipeline=case.name,
        side=side,
        result=result,
        events=None,
        metrics=None,
        status=_status(answer, compare_env=program.compare_env),
        files=files,
        volatile=collected.volatile,
        broken=collected.broken,
    )


def _files(written: Path, answer: Answer) -> Iterator[FileEvidence]:
    """Artifacts before outputs, as their roles sort."""
    for root, role in (("home", FileRole.ARTIFACT), ("project", FileRole.OUTPUT)):
        for entry in answer.entries:
            if entry.root == root and entry.kind == "file":
                yield FileEvidence(
                    role=role,
                    path=_shown(entry),
                    location=(written / f"of-{root}" / entry.path).absolute(),
                    size_bytes=entry.size_bytes,
                    mode=entry.mode,
                    sha256=entry.sha256,
                )


def _status(answer: Answer, *, compare_env: bool) -> dict[str, Json]:
    others = [entry for entry in answer.entries if entry.kind != "file"]
    status: dict[str, Json] = {
        "folders": {_shown(item): f"0o{item.mode:o}" for item in others if item.kind == "folder"},
        "links": {_shown(item): printable(item.target) for item in others if item.kind == "link"},
        "special": {_shown(item): f"0o{item.mode:o}" for item in others if item.kind == "special"},
        "removed": {
            _shown(Entry(root=root, path=path, kind="")): "removed" for root, path in answer.removed
        },
    }
    if compare_env:
        status["environment"] = dict(answer.environment)
    return status


def _shown(entry: Entry) -> str:
    return f"home/{entry.shown}" if entry.root == "home" else entry.shown
