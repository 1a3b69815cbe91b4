"""A target whose product is a table of answers: parity's workflow without Osiris and E2B."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from parity_runs import RunFolder, events, run

from harness.errors import HarnessError
from harness.model.evidence import Evidence
from harness.model.run import (
    CollectedArtifacts,
    ExecResult,
    ExecutionContext,
    PipelineCase,
    PreparedRun,
)
from harness.model.side import Endpoint, Side
from harness.ports import PrepareFailedError, Target
from harness.settings import Settings
from harness.workflow.parity_endpoint import FarEnd

__all__ = ["ENDPOINT", "Answers", "TableAdapter", "TableTarget", "case", "reach"]

ENDPOINT = Endpoint(name="emulator", env={})
DATA = "id,name\n1,a\n2,b\n"


def case(name: str, **changes: object) -> PipelineCase:
    plain = PipelineCase(name=name, purpose="a case", oml="", outputs=("o.csv",))
    return replace(plain, **changes)  # type: ignore[arg-type]


@dataclass(slots=True, kw_only=True)
class Answers:
    """What the product does, by case and side; anything not said succeeds with equal data.

    Attributes:
        data: the output file's content.
        errors: raised by `execute`.
        refused: the case does not compile.
        block: cases whose `execute` waits to be aborted.
        on_execute: is called first in each `execute`.
    """

    data: Mapping[tuple[str, Side], str] = field(default_factory=dict)
    errors: Mapping[tuple[str, Side], Exception] = field(default_factory=dict)
    refused: Sequence[str] = ()
    block: Sequence[str] = ()
    on_execute: Callable[[str, Side], None] | None = None


class TableAdapter:
    """One side of the table."""

    def __init__(self, side: Side, target: TableTarget) -> None:
        self.side = side
        self.target = target
        self.aborted = threading.Event()
        self.closed = False

    def prepare(self, case: PipelineCase, context: ExecutionContext) -> PreparedRun:
        if case.name in self.target.answers.refused:
            raise PrepareFailedError(
                "does not compile",
                expected="a pipeline",
                next_step="correct it",
                result=ExecResult(
                    success=False, exit_code=2, duration_s=0.1, error_message="does not compile"
                ),
                compiled=False,
            )
        context.logs_dir.mkdir(parents=True, exist_ok=True)
        return PreparedRun(
            case=case,
            plan={},
            cfg_index={},
            io_layout={},
            run_params={},
            constraints={},
            metadata={},
        )

    def execute(self, prepared: PreparedRun, context: ExecutionContext) -> ExecResult:
        name = prepared.case.name
        (context.logs_dir / "events.jsonl").write_text('{"event": "run_start"}\n', encoding="utf-8")
        if self.target.answers.on_execute is not None:
            self.target.answers.on_execute(name, self.side)
        if name in self.target.answers.block:
            self.target.blocked.set()
            assert self.aborted.wait(60)
        error = self.target.answers.errors.get((name, self.side))
        if error is not None:
            raise error
        return ExecResult(success=True, exit_code=0, duration_s=1.0)

    def collect(self, prepared: PreparedRun, context: ExecutionContext) -> CollectedArtifacts:
        del prepared, context
        return CollectedArtifacts()

    def abort(self) -> None:
        self.aborted.set()

    def close(self) -> None:
        self.closed = True


class TableTarget:
    """Implements `harness.ports.Target` on a table of answers."""

    name = "table"
    version = "1"

    def __init__(self, *cases: PipelineCase, answers: Answers | None = None, root: Path) -> None:
        self._cases = cases
        self.answers = answers or Answers()
        self.root = root
        self.adapters: list[TableAdapter] = []
        self.blocked = threading.Event()

    def cases(self) -> tuple[PipelineCase, ...]:
        return self._cases

    def case(self, name: str) -> PipelineCase:
        return next(case for case in self._cases if case.name == name)

    def adapter(self, side: Side, endpoint: Endpoint | None = None) -> TableAdapter:
        assert (endpoint is None) == (side is Side.LOCAL)
        self.adapters.append(TableAdapter(side, self))
        return self.adapters[-1]

    def gather(
        self,
        side: Side,
        case: PipelineCase,
        context: ExecutionContext,
        result: ExecResult,
        collected: CollectedArtifacts | None,
    ) -> Evidence:
        if collected is None:
            return run(side, pipeline=case.name, result=result, events=None, metrics=None)
        content = self.answers.data.get((case.name, side), DATA)
        return run(
            side,
            pipeline=case.name,
            result=result,
            events=events("load", "write"),
            files=[RunFolder(context.base_path / "files").file("o.csv", content)],
            promised=case.outputs,
            volatile={str(context.base_path): "<run-folder>", context.session_id: "<run>"},
        )

    def template_packages(self) -> tuple[str, ...]:
        return ()

    def allowances_file(self) -> Path:
        return self.root / "allowances" / f"{self.version}.toml"


@contextmanager
def reach(kind: FarEnd, target: Target, settings: Settings) -> Iterator[Endpoint]:
    """A far end that is always there."""
    del kind, target, settings
    yield ENDPOINT


def failing_reach(error: HarnessError, *, at_end: bool = False) -> Callable[..., object]:
    """A far end that is not to be had, or breaks when it is closed."""

    @contextmanager
    def opened(kind: FarEnd, target: Target, settings: Settings) -> Iterator[Endpoint]:
        del kind, target, settings
        if not at_end:
            raise error
        yield ENDPOINT
        raise error

    return opened
