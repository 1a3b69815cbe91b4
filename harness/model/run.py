"""A run in its three steps: prepared, executed, collected.

The names are Osiris's own (`osiris.core.execution_adapter`), so that a test
reads the same whether it speaks to the product or to the harness.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

__all__ = [
    "CollectedArtifacts",
    "Deed",
    "Disturbance",
    "ExecResult",
    "ExecutionContext",
    "PipelineCase",
    "PreparedRun",
]

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


class Deed(StrEnum):
    """What a disturbance does.

    INTERRUPT is a person's Ctrl-C and comes to either side; the others come to the sandbox.
    """

    INTERRUPT = "interrupt"
    KILL_WORKER = "kill_worker"
    FREEZE_WORKER = "freeze_worker"
    VANISH = "vanish"
    ADVANCE = "advance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """Something that happens to a run once it has come to a place.

    Attributes:
        step: the step at whose start it happens.
        delay_s: how long after that start; the step must last longer.
        deed: what happens.
        seconds: of ADVANCE: by how much the service's clock moves; of FREEZE_WORKER: for
            how long the worker does nothing.
    """

    step: str
    deed: Deed
    seconds: float = 0.0
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineCase:
    """A pipeline and what it needs to run; one small file of the case library.

    Attributes:
        name: short and stable, fit for a file name.
        purpose: one sentence: what the case is for.
        oml: the pipeline in Osiris's own language (YAML text).
        files: input files by path relative to the project folder.
        env: environment variables of both sides.
        outputs: paths (relative to the project folder) that the pipeline promises to write.
        expect_success: what the pipeline promises; None where it promises nothing.
        deadline_s: how long one side may take.
        arguments: of the product's command line, which then runs the pipeline; None to
            run it by the product's adapters.
        needs: services that it speaks to ("mysql"); it is not run where one is not given.
        sandbox_timeout_s: how long its sandbox may live; None for the harness's own choice.
        sandbox_expires: its sandbox ends by that timeout and not by the product; what it held
            is then kept by an emulator only.
        faults: bad weather at the far end, rules as the emulator's admin interface takes them.
        disturbance: what happens to the run on its way; None for nothing.
    """

    name: str
    purpose: str
    oml: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    expect_success: bool | None = True
    deadline_s: float = 120.0
    arguments: tuple[str, ...] | None = None
    needs: tuple[str, ...] = ()
    sandbox_timeout_s: int | None = None
    sandbox_expires: bool = False
    faults: tuple[Mapping[str, Json], ...] = ()
    disturbance: Disturbance | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionContext:
    """Where a run writes.

    Attributes:
        session_id: names the run.
        base_path: the run's own folder.
        started_at: aware, UTC.
    """

    session_id: str
    base_path: Path
    started_at: datetime

    @property
    def project_dir(self) -> Path:
        """The product's project folder; also the working directory of its process."""
        return self.base_path / "project"

    @property
    def logs_dir(self) -> Path:
        """The product's own session logs (events.jsonl, metrics.jsonl, osiris.log, status.json)."""
        return self.base_path / f"run_{self.session_id}"

    @property
    def artifacts_dir(self) -> Path:
        """The product's artifacts."""
        return self.logs_dir / "artifacts"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRun:
    """What the product's own `prepare` answered, and the case that it was made from.

    Attributes:
        case: the pipeline.
        plan: the compiled manifest.
        cfg_index: the step configurations by their path ("cfg/<step>.json").
        io_layout: the product's layout of logs and artifacts.
        run_params: the product's run parameters.
        constraints: the product's limits (timeout, CPU, memory).
        metadata: the product's own notes.
    """

    case: PipelineCase
    plan: Mapping[str, Json]
    cfg_index: Mapping[str, Json]
    io_layout: Mapping[str, Json]
    run_params: Mapping[str, Json]
    constraints: Mapping[str, Json]
    metadata: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecResult:
    """What the product's own `execute` answered.

    Attributes:
        success: the product's verdict on its run.
        exit_code: 0 is success.
        duration_s: wall time in seconds.
        error_message: the product's words; None on success.
        error_type: the class of the exception that left the product, None where none did.
        step_results: what the product says of its steps.
        stdout: everything the product's process wrote, decoded as UTF-8 with replacement.
        stderr: the same for standard error.
        timed_out: the deadline passed and the process was ended by the harness.
        crashed: the product's process ended without an answer.
    """

    success: bool
    exit_code: int
    duration_s: float
    error_message: str | None = None
    error_type: str | None = None
    step_results: Json = None
    stdout: str = ""
    stderr: str = ""
    timed_out: bool = False
    crashed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectedArtifacts:
    """What the product's own `collect` found, and what the harness fetched beside it.

    Attributes:
        events_log: path of events.jsonl, None where there is none.
        metrics_log: path of metrics.jsonl.
        execution_log: path of osiris.log.
        artifacts_dir: folder of artifacts.
        outputs_dir: the data that the pipeline wrote, by the same relative paths on
            both sides (for the sandbox: out of its after-image).
        sandbox_dir: everything under the sandbox user's home as it was when the
            sandbox was killed; None on the local side.
        metadata: the product's own notes.
        broken: why the evidence has a hole that is not the product's (no after-image
            at the endpoint …); None where it is whole.
        volatile: values of this run that only the adapter knows, with the token that
            stands for each (see `Evidence.volatile`).
        logs_dir: the product's own session folder, where it chose another one than
            `ExecutionContext.logs_dir`.
        undelivered: paths of `outputs_dir` that were found in the sandbox alone.
        wire: what the run was given from outside (see `Evidence.wire`).
    """

    events_log: Path | None = None
    metrics_log: Path | None = None
    execution_log: Path | None = None
    artifacts_dir: Path | None = None
    outputs_dir: Path | None = None
    sandbox_dir: Path | None = None
    metadata: Mapping[str, Json] = field(default_factory=dict)
    broken: str | None = None
    volatile: Mapping[str, str] = field(default_factory=dict)
    logs_dir: Path | None = None
    undelivered: frozenset[str] = frozenset()
    wire: Mapping[str, Json] | None = None
