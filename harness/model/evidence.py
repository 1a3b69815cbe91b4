"""Evidence: everything that a user could observe of one run on one side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from harness.model.run import ExecResult, Json
from harness.model.side import Side

__all__ = ["Evidence", "FileEvidence", "FileRole", "Record"]


class FileRole(StrEnum):
    """What a file is to its run."""

    OUTPUT = "output"
    ARTIFACT = "artifact"
    STATUS = "status"
    CFG = "cfg"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEvidence:
    """One file of a run.

    Attributes:
        role: what it is to the run.
        path: relative to the root of its role, with forward slashes.
        location: where its bytes are now, absolute.
        size_bytes: its length.
        mode: permission bits, such as 0o644.
        sha256: of its bytes, hex.
    """

    role: FileRole
    path: str
    location: Path
    size_bytes: int
    mode: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One line of events.jsonl or metrics.jsonl.

    Attributes:
        line: 1-based.
        fields: the parsed object; empty where the line does not parse.
        raw: the line as it was, only where it does not parse to an object.
    """

    line: int
    fields: Mapping[str, Json]
    raw: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One run on one side.

    Attributes:
        pipeline: the case's name.
        side: where it ran.
        result: the product's answer, with its streams.
        events: lines of events.jsonl in order; None where the file is missing.
        metrics: lines of metrics.jsonl in order; None where the file is missing.
        status: status.json; None where it is missing or does not parse.
        files: output data, artifacts and so on, sorted by role and path.
        promised_outputs: the output paths that the pipeline promises.
        volatile: values of this run that differ from run to run by nature, with the
            token that stands for each ("session-id value" -> "<session>").
        broken: why this side says nothing (a dead emulator, no answer …); None where it is whole.
    """

    pipeline: str
    side: Side
    result: ExecResult
    events: tuple[Record, ...] | None
    metrics: tuple[Record, ...] | None
    status: Mapping[str, Json] | None
    files: tuple[FileEvidence, ...]
    promised_outputs: tuple[str, ...] = ()
    volatile: Mapping[str, str] | None = None
    broken: str | None = None
