"""What the parts of the harness ask of each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from harness.model.run import (
    CollectedArtifacts,
    ExecResult,
    ExecutionContext,
    PipelineCase,
    PreparedRun,
)
from harness.model.sandbox import SandboxRecord

__all__ = ["ExecutionAdapter", "SandboxDirectory"]


class ExecutionAdapter(Protocol):
    """One side of a target: prepares, executes and collects a pipeline."""

    def prepare(self, case: PipelineCase, context: ExecutionContext) -> PreparedRun:
        """Compiles the pipeline and has the product prepare it."""
        ...

    def execute(self, prepared: PreparedRun, context: ExecutionContext) -> ExecResult:
        """Runs it; a failure of the product is a result, not an exception."""
        ...

    def collect(self, prepared: PreparedRun, context: ExecutionContext) -> CollectedArtifacts:
        """Gathers what the run left behind."""
        ...

    def close(self) -> None:
        """Ends every process and sandbox that the adapter started."""
        ...


class SandboxDirectory(Protocol):
    """E2B's list of sandboxes, and the means to end one."""

    def list(self, *, metadata: Mapping[str, str] | None = None) -> Sequence[SandboxRecord]:
        """Every running and paused sandbox of the team, all pages."""
        ...

    def get(self, sandbox_id: str) -> SandboxRecord | None:
        """The sandbox as it is now; None where it is gone."""
        ...

    def kill(self, sandbox_id: str) -> bool:
        """Ends it. False where it was gone already."""
        ...
