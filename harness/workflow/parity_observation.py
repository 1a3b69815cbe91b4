"""One run of one case on one side, with all that its evidence was made from."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from harness.clock import Clock
from harness.model.evidence import Evidence
from harness.model.run import CollectedArtifacts, ExecResult, ExecutionContext, PipelineCase
from harness.model.side import Endpoint, Side
from harness.ports import Target

__all__ = ["Observed", "observe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A run that has ended.

    Attributes:
        side: where it ran.
        context: its folder.
        result: what the product answered.
        collected: what was gathered.
        evidence: what parity makes of it.
    """

    side: Side
    context: ExecutionContext
    result: ExecResult
    collected: CollectedArtifacts
    evidence: Evidence

    def gathered(
        self,
        target: Target,
        case: PipelineCase,
        result: ExecResult,
        collected: CollectedArtifacts,
    ) -> Evidence:
        """The evidence as the files are now, with another result and other collected values."""
        return target.gather(self.side, case, self.context, result, collected)


def observe(
    target: Target,
    case: PipelineCase,
    side: Side,
    folder: Path,
    *,
    endpoint: Endpoint | None = None,
    clock: Clock,
) -> Observed:
    """Runs a case once.

    Raises:
        HarnessError: if it cannot be prepared, run or gathered.
    """
    context = ExecutionContext(
        session_id=f"{side.value}-{secrets.token_hex(6)}",
        base_path=folder,
        started_at=clock.now(),
    )
    folder.mkdir(parents=True)
    adapter = target.adapter(side, endpoint)
    try:
        prepared = adapter.prepare(case, context)
        result = adapter.execute(prepared, context)
        collected = adapter.collect(prepared, context)
    finally:
        adapter.close()
    return Observed(
        side=side,
        context=context,
        result=result,
        collected=collected,
        evidence=target.gather(side, case, context, result, collected),
    )
