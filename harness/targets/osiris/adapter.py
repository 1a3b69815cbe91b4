"""Osiris as an execution adapter: one child process of the product for each run."""

from __future__ import annotations

from harness.model.run import (
    CollectedArtifacts,
    ExecResult,
    ExecutionContext,
    PipelineCase,
    PreparedRun,
)
from harness.model.side import Endpoint, Side
from harness.settings import Settings
from harness.targets.osiris.environment import OsirisEnvironment

__all__ = ["OsirisAdapter"]


class OsirisAdapter:
    """One side of Osiris; implements `harness.ports.ExecutionAdapter`.

    One adapter serves one run after another; each has its own project folder and
    its own process group. Use it as a context manager, or call `close()`.

    Args:
        side: LOCAL or E2B.
        environment: where the product is installed.
        settings: sandbox timeout, preflight switch and secrets.
        endpoint: the E2B service; required on the E2B side.

    Raises:
        UsageError: if the E2B side has no endpoint.
    """

    def __init__(
        self,
        *,
        side: Side,
        environment: OsirisEnvironment,
        settings: Settings,
        endpoint: Endpoint | None = None,
    ) -> None:
        raise NotImplementedError

    def prepare(self, case: PipelineCase, context: ExecutionContext) -> PreparedRun:
        """Compiles the pipeline and has the product prepare it."""
        raise NotImplementedError

    def execute(self, prepared: PreparedRun, context: ExecutionContext) -> ExecResult:
        """Runs it; a failure, a crash and a hang of the product are results."""
        raise NotImplementedError

    def collect(self, prepared: PreparedRun, context: ExecutionContext) -> CollectedArtifacts:
        """Gathers what the run left behind, the sandbox's after-image included."""
        raise NotImplementedError

    @property
    def sandbox_ids(self) -> tuple[str, ...]:
        """Every sandbox that the product is known to have made through this adapter."""
        raise NotImplementedError

    def close(self) -> None:
        """Ends the child's process group."""
        raise NotImplementedError
