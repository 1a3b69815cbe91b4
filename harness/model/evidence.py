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
    RUN = "run"


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
        delivered: whether it came to the user's machine; False for what stayed where it
            was written, in the sandbox.
    """

    role: FileRole
    path: str
    location: Path
    size_bytes: int
    mode: int
    sha256: str
    delivered: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One line of events.jsonl or metrics.jsonl, or one entry of the log.

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
        log: entries of the product's own log in order; None where there is none.
        wire: what the steps were given from outside, as JSON: names of variables, files, and
            on the remote side also commands and the sandbox's own settings; None where
            nobody saw it (an endpoint without a ledger of requests).
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
    log: tuple[Record, ...] | None = None
    wire: Mapping[str, Json] | None = None
