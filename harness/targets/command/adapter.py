"""A program in a folder as an execution adapter: one place for each run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import UsageError
from harness.model.run import (
    CollectedArtifacts,
    ExecResult,
    ExecutionContext,
    PipelineCase,
    PreparedRun,
)
from harness.targets.after_image import Bounds, unpack
from harness.targets.command.conversation import COLLECT_BYTES, Answer, read_answer
from harness.targets.command.job import Job
from harness.targets.command.places import Place
from harness.targets.command.program import CommandProgram

__all__ = ["WRITTEN", "CommandAdapter"]

WRITTEN = "written"
"""The folder of a run with what the program wrote: `of-project/` and `of-home/`."""

_USUAL_HOSTS = frozenset({"localhost", "localhost.localdomain"})


@dataclass(slots=True, kw_only=True)
class _Run:
    """What the adapter knows of one run between its calls."""

    context: ExecutionContext
    place: Place
    answer: Answer | None = None


class CommandAdapter:
    """One side of a program; implements `harness.ports.ExecutionAdapter`.

    Args:
        program: what is run.
        job: its folder.
        place: makes the place for a run, from the run's own folder.
        local_host: the name of this machine, which is no more a difference than a path.
    """

    def __init__(
        self,
        *,
        program: CommandProgram,
        job: Job,
        place: Callable[[Path], Place],
        local_host: str,
    ) -> None:
        self._program = program
        self._job = job
        self._place = place
        self._local_host = local_host
        self._runs: dict[Path, _Run] = {}
        self._aborted = False

    def prepare(self, case: PipelineCase, context: ExecutionContext) -> PreparedRun:
        """Packs the folder.

        Raises:
            UsageError: if the context's folder is used already.
        """
        context = replace(context, base_path=context.base_path.resolve())
        context.base_path.mkdir(parents=True, exist_ok=True)
        archive = context.base_path / "job.tar"
        if archive.exists() or context.project_dir.exists():
            raise UsageError(
                f"the run's folder is used already: {context.base_path}",
                expected="an execution context of its own for each run",
                next_step="make a new execution context",
            )
        self._job.pack(archive)
        run = _Run(context=context, place=self._place(context.base_path))
        self._runs[context.base_path] = run
        if self._aborted:
            run.place.abort()
        return PreparedRun(
            case=case,
            plan={"words": list(self._program.words)},
            cfg_index={},
            io_layout={"project": f"{run.place.base}/project"},
            run_params={"env": dict(self._program.env)},
            constraints={"deadline_s": self._program.deadline_s},
            metadata={"refused": dict(self._job.refused)},
        )

    def execute(self, prepared: PreparedRun, context: ExecutionContext) -> ExecResult:
        """Runs it; a failure, a crash and a hang of the program are results.

        Raises:
            UsageError: if nothing was prepared in this context.
            BrokenError: if the place does not live to the end of it.
        """
        del prepared
        run = self._run(context, "executed", "prepared")
        run.place.run(self._program, run.context)
        run.answer = read_answer(run.context.base_path, self._program)
        return run.answer.result

    def collect(self, prepared: PreparedRun, context: ExecutionContext) -> CollectedArtifacts:
        """Unpacks what the program wrote.

        Raises:
            UsageError: if nothing was executed in this context.
            BrokenError: if its files cannot be unpacked.
        """
        del prepared
        run = self._run(context, "collected", "executed")
        if run.answer is None:
            raise _out_of_order("collected", "executed", context)
        base, answer = run.context.base_path, run.answer
        written = base / WRITTEN
        broken = None
        if answer.too_large:
            broken = f"the program wrote {answer.too_large} bytes, more than {COLLECT_BYTES}"
        elif not written.exists():
            with (base / "written.tar").open("rb") as file:
                unpack(file, written, bounds=Bounds(size_bytes=2 * COLLECT_BYTES))
            (base / "written.tar").unlink()
        return CollectedArtifacts(
            outputs_dir=written,
            metadata={
                "sandbox_id": run.place.sandbox_id,
                "host": answer.host,
                "refused": dict(self._job.refused),
            },
            broken=broken,
            volatile=self._volatile(run, answer),
        )

    def answer(self, context: ExecutionContext) -> Answer:
        """What the runner said of the run in this context.

        Raises:
            UsageError: if nothing was executed in it.
        """
        run = self._run(context, "read", "executed")
        if run.answer is None:
            raise _out_of_order("read", "executed", context)
        return run.answer

    def abort(self) -> None:
        """Ends every run, from any thread; a call under way returns soon."""
        self._aborted = True
        for run in tuple(self._runs.values()):
            run.place.abort()

    def close(self) -> None:
        """Ends every process and sandbox."""
        for run in self._runs.values():
            run.place.close()

    def _run(self, context: ExecutionContext, what: str, before: str) -> _Run:
        run = self._runs.get(context.base_path.resolve())
        if run is None:
            raise _out_of_order(what, before, context)
        return run

    def _volatile(self, run: _Run, answer: Answer) -> dict[str, str]:
        """Where the run lay, what its machine is called, and where that has its programs.

        A name of one or two characters is no more than a word, and stays: a token in the
        place of each such word would hide more than it explains.
        """
        base = run.place.base
        volatile = {
            f"{base}/project": "<project>",
            f"{base}/home": "<home>",
            f"{base}/tmp": "<tmp>",  # noqa: S108 - of the run's own folder
            base: "<run-folder>",
        }
        search = _search_path(answer)
        if search and "PATH" not in self._program.env:
            volatile[search] = "<search-path>"
        for host in (answer.host, self._local_host):
            if host not in _USUAL_HOSTS:
                volatile[host] = "<host:1>"
        if run.place.sandbox_id is not None:
            volatile[run.place.sandbox_id] = "<sandbox>"
        return volatile


def _search_path(answer: Answer) -> str:
    variables = answer.environment["variables"]
    return str(variables.get("PATH", "")) if isinstance(variables, dict) else ""


def _out_of_order(what: str, before: str, context: ExecutionContext) -> UsageError:
    return UsageError(
        f"a run that was not {before} cannot be {what}: {context.session_id}",
        expected="prepare, execute, collect, in this order, with one context and one adapter",
        next_step="correct the order of the calls",
    )
