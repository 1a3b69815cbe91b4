"""One run of Osiris through an adapter, and what a test reads of it."""

from __future__ import annotations

import csv
from pathlib import Path

from harness.model.run import (
    CollectedArtifacts,
    ExecResult,
    ExecutionContext,
    PipelineCase,
    PreparedRun,
)
from harness.targets.osiris.adapter import OsirisAdapter

__all__ = ["present", "rows", "run"]


def run(
    adapter: OsirisAdapter, pipeline: PipelineCase, context: ExecutionContext
) -> tuple[PreparedRun, ExecResult, CollectedArtifacts]:
    """Prepares, executes and collects."""
    prepared = adapter.prepare(pipeline, context)
    result = adapter.execute(prepared, context)
    return prepared, result, adapter.collect(prepared, context)


def present(path: Path | None) -> Path:
    """What the run must have left behind."""
    assert path is not None
    return path


def rows(collected: CollectedArtifacts, output: str) -> list[dict[str, str]]:
    """The rows of a CSV file that the pipeline wrote, by their header."""
    with (present(collected.outputs_dir) / output).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
