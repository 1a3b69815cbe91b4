"""Literal evidence for tests of parity: small runs that a test reads at a glance."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.model.evidence import Evidence, FileEvidence, FileRole, Record
from harness.model.run import ExecResult, Json
from harness.model.side import Side

__all__ = ["OK", "RunFolder", "events", "failure", "on_e2b", "records", "run", "step_events"]

OK = ExecResult(success=True, exit_code=0, duration_s=1.0)


def failure(message: str, *, exit_code: int = 1) -> ExecResult:
    return ExecResult(success=False, exit_code=exit_code, duration_s=1.0, error_message=message)


def records(*fields: Mapping[str, Json] | str) -> tuple[Record, ...]:
    """Records of objects; a text is a line that does not parse."""
    return tuple(
        Record(line=number, fields={}, raw=item)
        if isinstance(item, str)
        else Record(line=number, fields=item)
        for number, item in enumerate(fields, start=1)
    )


def step_events(*steps: str, driver: str = "duckdb.processor") -> list[dict[str, Json]]:
    """A start and an end for each step."""
    told: list[dict[str, Json]] = []
    for step in steps:
        told.append({"event": "step_start", "step_id": step, "driver": driver})
        told.append({"event": "step_complete", "step_id": step, "rows": 5})
    return told


def events(*steps: str) -> tuple[Record, ...]:
    """The events of a run of these steps."""
    return records({"event": "run_start"}, *step_events(*steps), {"event": "run_complete"})


def run(
    side: Side = Side.LOCAL,
    *,
    pipeline: str = "chain",
    result: ExecResult = OK,
    events: tuple[Record, ...] | None = events("load", "write"),
    metrics: tuple[Record, ...] | None = (),
    status: Mapping[str, Json] | None = None,
    files: Sequence[FileEvidence] = (),
    promised: tuple[str, ...] = (),
    volatile: Mapping[str, str] | None = None,
    broken: str | None = None,
) -> Evidence:
    """One run on one side."""
    return Evidence(
        pipeline=pipeline,
        side=side,
        result=result,
        events=events,
        metrics=metrics,
        status=status,
        files=tuple(files),
        promised_outputs=promised,
        volatile=volatile,
        broken=broken,
    )


class RunFolder:
    """Writes the files of one run below a folder of a test."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def file(
        self,
        path: str,
        content: bytes | str,
        *,
        role: FileRole = FileRole.OUTPUT,
        mode: int = 0o644,
    ) -> FileEvidence:
        data = content.encode() if isinstance(content, str) else content
        location = self.root / role.value / path
        location.parent.mkdir(parents=True, exist_ok=True)
        location.write_bytes(data)
        return FileEvidence(
            role=role,
            path=path,
            location=location,
            size_bytes=len(data),
            mode=mode,
            sha256=hashlib.sha256(data).hexdigest(),
        )

    def of(self, path: str, *, role: FileRole = FileRole.OUTPUT) -> FileEvidence:
        """Evidence of a file that is already there."""
        return self.file(path, (self.root / role.value / path).read_bytes(), role=role)


def on_e2b(evidence: Evidence) -> Evidence:
    """The same run as if it had come from the sandbox."""
    return replace(evidence, side=Side.E2B)
