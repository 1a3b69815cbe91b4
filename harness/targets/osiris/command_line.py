"""Osiris's real command line: `osiris compile` and `osiris run [--e2b]`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.model.run import ExecutionContext, Json, PipelineCase
from harness.model.side import Endpoint
from harness.settings import Settings
from harness.targets.osiris.environment import OsirisEnvironment

__all__ = ["CliRun", "osiris_compile", "osiris_run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CliRun:
    """One invocation of the product's command line.

    Attributes:
        argv: what was run.
        exit_code: its exit code; negative for a signal, None where it was ended at the deadline.
        stdout: decoded as UTF-8 with replacement.
        stderr: the same.
        duration_s: wall time in seconds.
        project_dir: its project folder.
        session_dir: its session folder, None where it made none.
        document: the JSON object that `--json` printed, None where there is none.
        timed_out: the deadline passed.
    """

    argv: tuple[str, ...]
    exit_code: int | None
    stdout: str
    stderr: str
    duration_s: float
    project_dir: Path
    session_dir: Path | None = None
    document: Mapping[str, Json] | None = None
    timed_out: bool = False


def osiris_compile(
    case: PipelineCase,
    context: ExecutionContext,
    *,
    environment: OsirisEnvironment,
    settings: Settings,
    extra_args: Sequence[str] = (),
) -> CliRun:
    """Runs `osiris compile pipeline.yaml --json` in a project folder of its own."""
    raise NotImplementedError


def osiris_run(
    case: PipelineCase,
    context: ExecutionContext,
    *,
    e2b: bool,
    environment: OsirisEnvironment,
    settings: Settings,
    endpoint: Endpoint | None = None,
    extra_args: Sequence[str] = (),
) -> CliRun:
    """Runs `osiris run pipeline.yaml --json [--e2b]` in a project folder of its own.

    Raises:
        UsageError: if `e2b` is asked for without an endpoint.
    """
    raise NotImplementedError
