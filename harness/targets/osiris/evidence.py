"""Turns one run of Osiris into evidence: records, status, files, volatile values."""

from __future__ import annotations

from harness.model.evidence import Evidence
from harness.model.run import CollectedArtifacts, ExecResult, ExecutionContext, PipelineCase
from harness.model.side import Side

__all__ = ["gather"]


def gather(
    side: Side,
    case: PipelineCase,
    context: ExecutionContext,
    result: ExecResult,
    collected: CollectedArtifacts | None,
) -> Evidence:
    """Everything that a user could observe of the run.

    Args:
        side: where it ran.
        case: what ran.
        context: the run's own folder and id.
        result: the product's answer.
        collected: what `collect` found; None where the run did not get that far.
    """
    raise NotImplementedError
