"""Turns one run of Osiris into evidence: records, status, files, volatile values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from harness.model.evidence import Evidence, FileEvidence, FileRole, Record
from harness.model.run import CollectedArtifacts, ExecResult, ExecutionContext, Json, PipelineCase
from harness.model.side import Side
from harness.parity.collector import uncollected
from harness.targets.osiris.log import read_log

__all__ = ["gather", "read_records"]

# Compared record by record, or by field, and not as files.
_STREAMS = frozenset({"events.jsonl", "metrics.jsonl", "osiris.log", "status.json"})


def gather(
    side: Side,
    case: PipelineCase,
    context: ExecutionContext,
    result: ExecResult,
    collected: CollectedArtifacts | None,
) -> Evidence:
    """Everything that a user could observe of the run.

    A run that was ended at its deadline, or crashed, has no whole set of files by its
    nature; that is a finding. Any other run without its files is broken evidence.

    Args:
        side: where it ran.
        case: what ran.
        context: the run's own folder and id.
        result: the product's answer.
        collected: what `collect` found; None where the run did not get that far.
    """
    collected = collected or CollectedArtifacts(broken=_never_collected(result))
    logs = collected.logs_dir or context.logs_dir
    events = read_records(collected.events_log or logs / "events.jsonl")
    metrics = read_records(collected.metrics_log or logs / "metrics.jsonl")
    cut_short = result.timed_out or result.crashed
    return Evidence(
        pipeline=case.name,
        side=side,
        result=result,
        events=events,
        metrics=metrics,
        status=_read_object(logs / "status.json"),
        files=tuple(_files(context, collected, logs)),
        promised_outputs=case.outputs,
        volatile=_volatile(context, collected, events or ()),
        broken=None if cut_short else collected.broken,
        log=read_log(collected.execution_log or logs / "osiris.log"),
        wire=collected.wire,
    )


def read_records(path: Path) -> tuple[Record, ...] | None:
    """The lines of a JSONL file; None where there is no such file.

    Lines are counted as the file has them, and one that does not hold an object keeps
    its text, so that nothing is dropped.
    """
    if not path.is_file():
        return None
    lines = path.read_bytes().split(b"\n")
    if lines and not lines[-1]:
        lines.pop()  # what follows the last line's end is no line
    with uncollected():
        return tuple(_record(number, line) for number, line in enumerate(lines, start=1))


def _record(number: int, line: bytes) -> Record:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        return Record(line=number, fields=value)
    return Record(line=number, fields={}, raw=line.decode("utf-8", "replace"))


def _read_object(path: Path) -> Mapping[str, Json] | None:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _files(
    context: ExecutionContext, collected: CollectedArtifacts, logs: Path
) -> Iterator[FileEvidence]:
    """Sorted by role and path."""
    artifacts = collected.artifacts_dir or logs / "artifacts"
    roots: dict[FileRole, Path | None] = {
        FileRole.OUTPUT: collected.outputs_dir,
        FileRole.ARTIFACT: artifacts,
        FileRole.CFG: logs / "cfg",
    }
    for role in sorted(FileRole, key=lambda role: role.value):
        root = roots.get(role, logs)
        if root is None:
            continue
        found = {path.relative_to(root).as_posix(): path for path in _paths(role, root)}
        stayed = _stayed(context, collected) if role is FileRole.ARTIFACT else {}
        for name, path in sorted({**stayed, **found}.items()):
            lacking = role is FileRole.OUTPUT and name in collected.undelivered
            yield _file(role, path, name, delivered=name in found and not lacking)


def _paths(role: FileRole, root: Path) -> Iterator[Path]:
    if role is FileRole.STATUS:
        paths: Iterable[Path] = [root / "status.json"]
    elif role is FileRole.RUN:
        paths = [path for path in root.glob("*") if path.name not in _STREAMS]
    else:
        paths = root.rglob("*")
    for path in paths:
        if path.is_file() and not path.is_symlink():
            yield path


def _stayed(context: ExecutionContext, collected: CollectedArtifacts) -> dict[str, Path]:
    """The artifacts of the worker's session in the sandbox, by their path."""
    if collected.sandbox_dir is None:
        return {}
    sessions = collected.sandbox_dir / "session"
    folders = [sessions / context.session_id] if collected.logs_dir is None else sessions.glob("*")
    return {
        path.relative_to(folder / "artifacts").as_posix(): path
        for folder in folders
        for path in _paths(FileRole.ARTIFACT, folder / "artifacts")
    }


def _file(role: FileRole, path: Path, name: str, *, delivered: bool) -> FileEvidence:
    stat = path.stat()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileEvidence(
        role=role,
        path=name,
        location=path.absolute(),
        size_bytes=stat.st_size,
        mode=stat.st_mode & 0o777,
        sha256=digest,
        delivered=delivered,
    )


def _volatile(
    context: ExecutionContext, collected: CollectedArtifacts, events: tuple[Record, ...]
) -> dict[str, str]:
    """The adapter's own values, and the session ids that only the events tell of."""
    volatile = {
        str(context.logs_dir): "<logs>",
        str(context.project_dir): "<project>",
        str(context.base_path): "<run-folder>",
        context.session_id: "<run>",
        **collected.volatile,
    }
    for record in events:
        session = record.fields.get("session")
        if isinstance(session, str) and session:
            volatile.setdefault(session, "<session>")
    return volatile


def _never_collected(result: ExecResult) -> str | None:
    return "the run succeeded, but nothing of it was collected" if result.success else None
