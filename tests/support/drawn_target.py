"""A target whose pipelines are drawn: words, of which some differ in the sandbox."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from parity_runs import events, failure
from parity_target import TableTarget

from harness.model.evidence import Evidence
from harness.model.run import CollectedArtifacts, ExecResult, ExecutionContext, PipelineCase
from harness.model.side import Side

__all__ = ["DrawnTarget", "Words"]


@dataclass(frozen=True)
class Words:
    """A pipeline of words; a step is a word."""

    words: tuple[str, ...]

    @property
    def step_count(self) -> int:
        return len(self.words)

    @property
    def size_bytes(self) -> int:
        return sum(map(len, self.words))

    @property
    def weight(self) -> tuple[int, ...]:
        return self.step_count, self.size_bytes

    def case(self, name: str, *, purpose: str) -> PipelineCase:
        return PipelineCase(
            name=name, purpose=purpose, oml=" ".join(self.words), expect_success=None
        )

    def smaller(self) -> Iterator[Words]:
        for at in range(len(self.words)):
            if len(self.words) > 1:
                yield Words(self.words[:at] + self.words[at + 1 :])


class DrawnTarget(TableTarget):
    """Says something else in the sandbox for the words `loud`, `lost` and `failing`.

    What `hidden` shows cannot be seen beside `failing`.
    A pipeline with the word `shaky` says something else each time, wherever it runs.
    """

    pipelines: tuple[Words, ...] = ()
    shaky = 0

    def sketches(self, *, count: int, seed: int) -> tuple[Words, ...]:
        return self.pipelines[seed : seed + count]

    def write_case(self, case: PipelineCase, *, notes: Sequence[str]) -> str:
        return "\n".join([*(f"# {note}" for note in notes), case.oml])

    def gather(
        self,
        side: Side,
        case: PipelineCase,
        context: ExecutionContext,
        result: ExecResult,
        collected: CollectedArtifacts | None,
    ) -> Evidence:
        seen = super().gather(side, case, context, result, collected)
        seen = replace(seen, files=(), promised_outputs=())
        words = case.oml.split()
        if "shaky" in words:
            self.shaky += 1
            seen = replace(seen, status={"number": self.shaky})
        if side is Side.LOCAL:
            return seen
        if "loud" in words:
            seen = replace(seen, result=replace(seen.result, stdout="noise\n"))
        if "lost" in words:
            seen = replace(seen, events=events("load"))
        if "failing" in words:
            seen = replace(seen, result=failure("it fails there"))
        elif "hidden" in words:
            seen = replace(seen, result=failure("another reason"))
        return seen
