"""What the parts of the harness ask of each other."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

from harness.errors import ExitCode, HarnessError
from harness.model.evidence import Evidence
from harness.model.run import (
    CollectedArtifacts,
    ExecResult,
    ExecutionContext,
    PipelineCase,
    PreparedRun,
)
from harness.model.sandbox import OwnershipTags, SandboxRecord
from harness.model.side import Endpoint, Side

__all__ = [
    "AccountView",
    "ExecutionAdapter",
    "Explorable",
    "PrepareFailedError",
    "SandboxDirectory",
    "Sketch",
    "Target",
]


class PrepareFailedError(HarnessError):
    """The product refused or failed to prepare a pipeline.

    It is a statement about the product, not about the harness: `result` is
    evidence like that of any run.

    Args:
        happened: what happened, with the product's words.
        expected: what was expected instead.
        next_step: what to do next.
        result: the refusal as a result; never a success.
        compiled: whether the pipeline had compiled. One that the compiler refuses is
            the caller's input (exit code 2), all else is a failure (exit code 1).
    """

    def __init__(
        self, happened: str, *, expected: str, next_step: str, result: ExecResult, compiled: bool
    ) -> None:
        super().__init__(happened, expected=expected, next_step=next_step)
        self.result = result
        self.compiled = compiled
        refused = not (compiled or result.crashed or result.timed_out)
        self.exit_code = ExitCode.USAGE if refused else ExitCode.FAILED


class ExecutionAdapter(Protocol):
    """One side of a target: prepares, executes and collects a pipeline."""

    def prepare(self, case: PipelineCase, context: ExecutionContext) -> PreparedRun:
        """Compiles the pipeline and has the product prepare it.

        Raises:
            PrepareFailedError: if it does not compile, or the product cannot prepare it.
        """
        ...

    def execute(self, prepared: PreparedRun, context: ExecutionContext) -> ExecResult:
        """Runs it; a failure of the product is a result, not an exception."""
        ...

    def collect(self, prepared: PreparedRun, context: ExecutionContext) -> CollectedArtifacts:
        """Gathers what the run left behind."""
        ...

    def abort(self) -> None:
        """Asks what runs to end, from any thread; the call under way returns soon."""
        ...

    def close(self) -> None:
        """Ends every process and sandbox that the adapter started."""
        ...


class Target(Protocol):
    """A system under test: where it comes from, what it runs, and how it is run.

    Attributes:
        name: as in the entry point.
        version: of the product under test.
    """

    name: str
    version: str

    def cases(self) -> tuple[PipelineCase, ...]:
        """The cases that parity compares, sorted by name."""
        ...

    def case(self, name: str) -> PipelineCase:
        """One case of the library, those outside `cases()` included.

        Raises:
            UsageError: if there is none of that name; the message lists the names.
        """
        ...

    def adapter(self, side: Side, endpoint: Endpoint | None = None) -> ExecutionAdapter:
        """A new adapter for one run on one side; the caller closes it."""
        ...

    def gather(
        self,
        side: Side,
        case: PipelineCase,
        context: ExecutionContext,
        result: ExecResult,
        collected: CollectedArtifacts | None,
    ) -> Evidence:
        """Everything that a user could observe of a run; None collected where there was none."""
        ...

    def template_packages(self) -> tuple[str, ...]:
        """Exact pins ("pandas==2.3.1") of what a sandbox must offer to the product."""
        ...

    def allowances_file(self) -> Path:
        """Where the accepted divergences of this target are declared."""
        ...


class Sketch(Hashable, Protocol):
    """A pipeline that was drawn at random: it can be run, measured and made smaller.

    Two sketches are equal where they are the same pipeline.
    """

    @property
    def step_count(self) -> int:
        """How many steps it has."""
        ...

    @property
    def size_bytes(self) -> int:
        """The length of everything that it consists of."""
        ...

    @property
    def weight(self) -> tuple[int, ...]:
        """What is to become small, the most important first."""
        ...

    def case(self, name: str, *, purpose: str) -> PipelineCase:
        """The pipeline as a case of that name."""
        ...

    def smaller(self) -> Iterator[Sketch]:
        """Pipelines that are one cut smaller, the boldest cut first."""
        ...


@runtime_checkable
class Explorable(Protocol):
    """A target that draws pipelines of its own."""

    def sketches(self, *, count: int, seed: int) -> Sequence[Sketch]:
        """Different pipelines; the same count and seed give the same ones."""
        ...

    def write_case(self, case: PipelineCase, *, notes: Sequence[str]) -> str:
        """The case as a file of this target's library; the notes stand above it as comments."""
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


@runtime_checkable
class AccountView(Protocol):
    """What a directory that speaks to the service itself also knows."""

    def service_now(self) -> datetime | None:
        """The service's clock, never ahead of it; None before the first answer."""
        ...

    def signed_here(self, tags: OwnershipTags) -> bool:
        """Whether the tags were signed with this account's own key."""
        ...
