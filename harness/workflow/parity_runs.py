"""Runs one case as often as parity asks for, and turns each run into evidence."""

from __future__ import annotations

import errno
import secrets
import threading
from collections.abc import MutableMapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.clock import Clock
from harness.errors import BrokenError, HarnessError, InterruptedRunError, NotRunError
from harness.model.evidence import Evidence
from harness.model.run import CollectedArtifacts, ExecResult, ExecutionContext, PipelineCase
from harness.model.side import Endpoint, Side
from harness.parity import CaseComparison, CaseRun, compare_case
from harness.ports import ExecutionAdapter, PrepareFailedError, Target
from harness.redaction.redact import Redactor
from harness.workflow.log_mirror import LogMirror
from harness.workflow.parity_weather import needs_own_weather, own_weather

__all__ = ["CaseRunner"]

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM})


@dataclass(slots=True, kw_only=True)
class CaseRunner:
    """Runs cases, each on both sides; safe to be used from several threads.

    Attributes:
        target: the system under test.
        endpoint: the far end.
        folder: the folder of this run of parity; each case gets one of its own in it.
        root: the project folder, for relative paths in reports.
        mirror: where the remote side's logs can be watched, one folder for each case.
        redactor: takes secrets out of mirrored logs.
        clock: measures durations.
        templates: where built templates are, for a far end of a case's own.
        local_runs: 2, or 1 where noise is not to be measured.
        remote_runs: 1, or more to measure the noise of that side, too.
        earlier: the last local run of each case, where the same library runs again and again:
            it is the first of two for the next run, which takes its place. Its files must
            still be there. None where each run of a case stands alone.
    """

    target: Target
    endpoint: Endpoint
    folder: Path
    root: Path
    mirror: Path
    redactor: Redactor
    clock: Clock
    templates: Path | None = None
    local_runs: int = 2
    remote_runs: int = 1
    earlier: MutableMapping[str, Evidence] | None = None
    _adapters: set[ExecutionAdapter] = field(default_factory=set)
    _idle: threading.Condition = field(default_factory=threading.Condition)
    _running: int = 0
    _aborted: bool = False

    def run(self, case: PipelineCase) -> CaseRun:
        """Runs the case locally twice and remotely once, and compares.

        What the product does is part of the comparison; a side that cannot be run
        at all makes it broken.

        Raises:
            BrokenError: if the disk takes no more, for then no case can be run.
            InterruptedRunError: if `abort` was called meanwhile.
        """
        with self._idle:
            self._check()
            self._running += 1
        try:
            return self._run(case)
        finally:
            with self._idle:
                self._running -= 1
                self._idle.notify_all()

    def abort(self) -> None:
        """Ends what runs, begins nothing more, and returns when all of it has ended."""
        with self._idle:
            self._aborted = True
            adapters = tuple(self._adapters)
        for adapter in adapters:
            adapter.abort()
        with self._idle:
            self._idle.wait_for(lambda: not self._running)

    def _run(self, case: PipelineCase) -> CaseRun:
        started_s = self.clock.monotonic_s()
        folder = self.folder / case.name
        try:
            comparison = self._compared(case, folder)
        except InterruptedRunError:
            raise
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise _no_room(error, self.folder) from error
            comparison = _broken(case, f"{type(error).__name__}: {error}")
        except NotRunError as error:
            comparison = replace(_broken(case, ""), broken=None, not_run="; ".join(error.lines()))
        except HarnessError as error:
            comparison = _broken(case, "; ".join(error.lines()))
        return CaseRun(
            comparison=comparison,
            duration_s=self.clock.monotonic_s() - started_s,
            folder=str(folder.relative_to(self.root)) if folder.is_relative_to(self.root) else "",
        )

    def _compared(self, case: PipelineCase, folder: Path) -> CaseComparison:
        first = (self.earlier or {}).get(case.name)
        first = first or self._observe(case, Side.LOCAL, folder / "local-1")
        second = first
        if self.local_runs > 1:
            second = self._observe(case, Side.LOCAL, folder / "local-2")
        place = folder / "e2b"
        context = self._context(place, Side.E2B)
        with LogMirror(context.logs_dir, self.mirror / case.name, self.redactor):
            remote = self._observe(case, Side.E2B, place, context=context)
        again = [
            self._observe(case, Side.E2B, folder / f"e2b-{number}")
            for number in range(2, self.remote_runs + 1)
        ]
        if self.earlier is not None:
            self.earlier[case.name] = second
        return self._redacted(
            compare_case(first, second, remote, again=again, expect_success=case.expect_success)
        )

    def _redacted(self, compared: CaseComparison) -> CaseComparison:
        """The comparison without secrets; allowances, too, are held against what is shown."""
        text = self.redactor.text

        def shown(value: str | None) -> str | None:
            return None if value is None else text(value)

        return replace(
            compared,
            broken=shown(compared.broken),
            differences=tuple(
                replace(item, local=shown(item.local), remote=shown(item.remote))
                for item in compared.differences
            ),
            noise=tuple(
                replace(item, local=shown(item.local), remote=shown(item.remote))
                for item in compared.noise
            ),
            remote_noise=tuple(
                replace(item, local=shown(item.local), remote=shown(item.remote))
                for item in compared.remote_noise
            ),
        )

    def _observe(
        self,
        case: PipelineCase,
        side: Side,
        folder: Path,
        *,
        context: ExecutionContext | None = None,
    ) -> Evidence:
        context = context or self._context(folder, side)
        context.base_path.mkdir(parents=True, exist_ok=True)
        self._check()
        with ExitStack() as stack:
            endpoint = None
            if side is Side.E2B:
                endpoint = stack.enter_context(self._far_end(case))
            adapter = self.target.adapter(side, endpoint)
            with self._idle:
                self._adapters.add(adapter)
            try:
                self._check()  # an abort from now on reaches the adapter; one before is seen here
                return self._evidence(adapter, case, side, context)
            finally:
                with self._idle:
                    self._adapters.discard(adapter)
                adapter.close()

    def _far_end(self, case: PipelineCase) -> AbstractContextManager[Endpoint]:
        """The run's far end; one of its own for a case whose weather would spoil the others."""
        if not needs_own_weather(case):
            return nullcontext(self.endpoint)
        return own_weather(case, self.target, self.endpoint, self.templates)

    def _evidence(
        self, adapter: ExecutionAdapter, case: PipelineCase, side: Side, context: ExecutionContext
    ) -> Evidence:
        try:
            prepared = adapter.prepare(case, context)
        except PrepareFailedError as refusal:
            self._check()
            return self._gathered(side, case, context, refusal.result, None)
        self._check()
        result = adapter.execute(prepared, context)
        self._check()
        collected = adapter.collect(prepared, context)
        self._check()
        return self._gathered(side, case, context, result, collected)

    def _gathered(
        self,
        side: Side,
        case: PipelineCase,
        context: ExecutionContext,
        result: ExecResult,
        collected: CollectedArtifacts | None,
    ) -> Evidence:
        """The evidence; a place of this run is also volatile as seen from the project folder."""
        evidence = self.target.gather(side, case, context, result, collected)
        volatile = dict(evidence.volatile or {})
        for value, token in tuple(volatile.items()):
            path = Path(value)
            if path.is_relative_to(self.folder) and path.is_relative_to(self.root):
                volatile[str(path.relative_to(self.root))] = f"<relative-{token.strip('<>')}>"
        return replace(evidence, volatile=volatile)

    def _context(self, folder: Path, side: Side) -> ExecutionContext:
        return ExecutionContext(
            session_id=f"{side.value}-{secrets.token_hex(6)}",
            base_path=folder,
            started_at=self.clock.now(),
        )

    def _check(self) -> None:
        """What is told after an abort is not the product's own end, and no evidence.

        Raises:
            InterruptedRunError: if `abort` was called.
        """
        if self._aborted:
            raise InterruptedRunError(
                "the run was interrupted",
                expected="to run every case to its end",
                next_step="run it again",
            )


def _broken(case: PipelineCase, why: str) -> CaseComparison:
    return CaseComparison(pipeline=case.name, local="-", remote="-", broken=why)


def _no_room(error: OSError, folder: Path) -> BrokenError:
    return BrokenError(
        f"{error.filename or folder}: {error.strerror}",
        expected="a folder testing_env that this user may write to, with space left",
        next_step=f"df -h {folder.parent} && ls -ld {folder.parent}, then run again",
    )
