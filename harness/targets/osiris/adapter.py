"""Osiris as an execution adapter: a child process of the product for each run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.errors import UsageError
from harness.model.run import (
    CollectedArtifacts,
    ExecResult,
    ExecutionContext,
    Json,
    PipelineCase,
    PreparedRun,
)
from harness.model.side import Endpoint, Side
from harness.ports import PrepareFailedError
from harness.settings import Settings
from harness.targets.osiris.collecting import collect_left_behind, volatile_of
from harness.targets.osiris.command_adapter import CommandLineAdapter
from harness.targets.osiris.conversation import Answer, Conversation, Ending
from harness.targets.osiris.disturbances import Watch, strike
from harness.targets.osiris.environment import OsirisEnvironment
from harness.targets.osiris.project import PIPELINE_FILE, Project, child_environment
from harness.targets.osiris.services import Services

__all__ = ["OsirisAdapter", "e2b_config"]

_CHILD = Path(__file__).with_name("child.py")
_COLLECT_S = 60.0  # what is left of the case's deadline may be nothing
_TIMED_OUT = 124  # as timeout(1) says it
_COMPILE_FAILED = 2  # as `osiris run` says it


@dataclass(slots=True, kw_only=True)
class _Run:
    """What the adapter knows of one run between its calls."""

    case: PipelineCase
    context: ExecutionContext
    project: Project
    conversation: Conversation
    spent_s: float = 0.0
    volatile: dict[str, str] = field(default_factory=dict)
    result: ExecResult | None = None
    answered: bool = False
    collected: CollectedArtifacts | None = None
    undisturbed: str | None = None

    def ask(self, operation: str, *, least_s: float = 0.0, **parameters: Json) -> Answer:
        left_s = max(least_s, self.case.deadline_s - self.spent_s)
        answer = self.conversation.ask(operation, deadline_s=left_s, **parameters)
        self.spent_s += answer.duration_s
        return answer


class OsirisAdapter:
    """One side of Osiris; implements `harness.ports.ExecutionAdapter`.

    One adapter serves one run after another; each has its own project folder and its
    own process group. The case's deadline covers preparing and executing together.
    Use it as a context manager, or call `close()`.

    Args:
        side: LOCAL or E2B.
        environment: where the product is installed.
        settings: sandbox timeout, preflight switch and secrets.
        endpoint: the E2B service; required on the E2B side.
        services: what cases may need, such as a database; its owner closes it.

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
        services: Services | None = None,
    ) -> None:
        if side is Side.E2B and endpoint is None:
            raise UsageError(
                "no endpoint for the E2B side",
                expected="the emulator's endpoint, or the real service's",
                next_step="start one with `harness emulator serve`, or go live with a key",
            )
        self.side = side
        self._environment = environment
        self._settings = settings
        self._endpoint = endpoint if side is Side.E2B else None
        self._services = services or Services()
        self._runs: dict[Path, _Run] = {}
        self._line = CommandLineAdapter(
            environment=environment,
            settings=settings,
            endpoint=self._endpoint,
            services=self._services,
        )

    def prepare(self, case: PipelineCase, context: ExecutionContext) -> PreparedRun:
        """Compiles the pipeline and has the product prepare it.

        Raises:
            NotRunError: if the case needs a service that is not there.
            PrepareFailedError: if it does not compile, or the product cannot prepare it.
            UsageError: if the context's folder is used already.
        """
        if case.arguments is not None:
            return self._line.prepare(case, context)
        run = self._start(case, replace(context, base_path=context.base_path.resolve()))
        self._runs[run.context.base_path] = run
        compiled = run.ask("compile", oml_path=PIPELINE_FILE, profile=None)
        if compiled.ending is not Ending.ANSWERED or not compiled.result.get("success"):
            raise self._refused(run, compiled, compiled=False)
        prepared = run.ask(
            "prepare",
            target=self.side.value,
            session_id=run.context.session_id,
            logs_dir=str(run.context.logs_dir),
            config=e2b_config(case, self._settings) if self.side is Side.E2B else {},
            preflight=not self._settings.disable_preflight,
        )
        document = prepared.result.get("prepared")
        if prepared.ending is not Ending.ANSWERED or not isinstance(document, dict):
            raise self._refused(run, prepared, compiled=True)
        run.volatile[str(prepared.result.get("session"))] = "<session>"
        return PreparedRun(
            case=case,
            plan=_mapping(document.get("plan")),
            cfg_index=_mapping(document.get("cfg_index")),
            io_layout=_mapping(document.get("io_layout")),
            run_params=_mapping(document.get("run_params")),
            constraints=_mapping(document.get("constraints")),
            metadata=_mapping(document.get("metadata")),
        )

    def execute(self, prepared: PreparedRun, context: ExecutionContext) -> ExecResult:
        """Runs it; a failure, a crash and a hang of the product are results.

        Raises:
            UsageError: if nothing was prepared in this context.
        """
        if prepared.case.arguments is not None:
            return self._line.execute(prepared, context)
        run = self._run(prepared, context)
        answer = self._executed(run)
        run.answered = answer.ending is Ending.ANSWERED
        run.result = _result(run, answer)
        return run.result

    def collect(self, prepared: PreparedRun, context: ExecutionContext) -> CollectedArtifacts:
        """Gathers what the run left behind, the sandbox's after-image included.

        Asked again, it answers the same. The product's session is closed by it.

        Raises:
            UsageError: if nothing was executed in this context.
        """
        if prepared.case.arguments is not None:
            return self._line.collect(prepared, context)
        run = self._run(prepared, context)
        if run.result is None:
            raise _out_of_order("collected", "executed", context)
        if run.collected is None:
            # As `osiris run` does: no collecting after an exception of the adapter.
            answer = run.ask("collect" if run.answered else "shutdown", least_s=_COLLECT_S)
            run.conversation.close()
            run.collected = self._collected(run, answer)
        return run.collected

    @property
    def sandbox_ids(self) -> tuple[str, ...]:
        """Every sandbox that the product is known to have made through this adapter."""
        mine = (name for run in self._runs.values() for name in run.conversation.sandbox_ids)
        return (*mine, *self._line.sandbox_ids)

    def abort(self) -> None:
        """Asks every run to end, from any thread; a call under way answers with a crash."""
        for run in tuple(self._runs.values()):
            run.conversation.abort()
        self._line.abort()

    def close(self) -> None:
        """Ends the process group of every run.

        A sandbox that the product left behind is the endpoint's to end: `sandbox_ids`
        names those that are known.
        """
        for run in self._runs.values():
            run.conversation.close()
        self._line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self, case: PipelineCase, context: ExecutionContext) -> _Run:
        project = Project.create(case, context)
        conversation = Conversation(
            [str(self._environment.python), str(_CHILD)],
            cwd=project.folder,
            env=child_environment(
                environment=self._environment,
                project=project,
                case=case,
                settings=self._settings,
                endpoint=self._endpoint,
                given=self._services.give(case, self._endpoint),
            ),
        )
        return _Run(case=case, context=context, project=project, conversation=conversation)

    def _executed(self, run: _Run) -> Answer:
        """The product's answer; on the E2B side a disturbance strikes on the way."""
        disturbance, endpoint = run.case.disturbance, self._endpoint
        if disturbance is None or endpoint is None:
            return run.ask("execute")

        def blow() -> None:
            strike(disturbance, endpoint, next(iter(run.conversation.sandbox_ids[-1:]), None))

        events = run.context.logs_dir / "events.jsonl"
        with Watch(disturbance, lambda: events, blow) as watch:
            answer = run.ask("execute")
        run.undisturbed = watch.why_broken()
        return answer

    def _run(self, prepared: PreparedRun, context: ExecutionContext) -> _Run:
        run = self._runs.get(context.base_path.resolve())
        if run is None or run.case != prepared.case:
            raise _out_of_order("executed", "prepared", context)
        return run

    def _refused(self, run: _Run, answer: Answer, *, compiled: bool) -> PrepareFailedError:
        words = answer.error or str(answer.result.get("message"))
        what = "cannot be prepared" if compiled else "does not compile"
        result = _result(run, answer, words=words)
        run.result = result
        run.conversation.close()
        return PrepareFailedError(
            f"pipeline {run.case.name!r} {what}: {words}",
            expected="a pipeline that Osiris accepts",
            next_step=f"try it by hand: osiris compile {run.project.folder / PIPELINE_FILE}",
            result=result,
            compiled=compiled,
        )

    def _collected(self, run: _Run, answer: Answer) -> CollectedArtifacts:
        logs, found = run.context.logs_dir, answer.result
        left = collect_left_behind(
            run.project,
            run.case,
            run.context,
            variables=self._services.variables(run.case, self._settings, self._endpoint),
            endpoint=self._endpoint,
            sandbox_ids=run.conversation.sandbox_ids,
            words=run.result.error_message if run.result else None,
        )
        return CollectedArtifacts(
            events_log=_path(found, "events_log", logs / "events.jsonl"),
            metrics_log=_path(found, "metrics_log", logs / "metrics.jsonl"),
            execution_log=_path(found, "execution_log", logs / "osiris.log"),
            artifacts_dir=_path(found, "artifacts_dir", run.context.artifacts_dir),
            outputs_dir=left.outputs,
            sandbox_dir=left.sandbox,
            undelivered=left.undelivered,
            wire=left.wire,
            metadata={
                **_mapping(found.get("metadata")),
                "harness": {
                    "sandbox_ids": [*run.conversation.sandbox_ids],
                    "left_out": dict(left.left_out),
                    "collect_error": answer.error,
                },
            },
            broken=left.broken or run.undisturbed,
            volatile=self._volatile(run),
        )

    def _volatile(self, run: _Run) -> dict[str, str]:
        context = run.context
        return {
            **run.volatile,
            **volatile_of(context, run.conversation.sandbox_ids),
            **self._services.volatile(run.case, self._endpoint),
            f"/home/user/session/{context.session_id}": "<logs>",
            str(context.logs_dir): "<logs>",
            str(self._environment.folder): "<environment>",
            context.session_id: "<run>",
        }


def e2b_config(case: PipelineCase, settings: Settings) -> dict[str, Json]:
    """The configuration that `osiris run --e2b` builds, with its defaults.

    Follows: osiris 0.5.7 osiris/cli/run.py run_command, osiris/remote/e2b_integration.py.
    """
    return {
        "timeout": case.sandbox_timeout_s or settings.sandbox_timeout_s,
        "cpu": 2,
        "memory": 4,
        "env": dict(case.env),
        "verbose": False,
        "install_deps": False,
    }


def _result(run: _Run, answer: Answer, *, words: str | None = None) -> ExecResult:
    answered = answer.ending is Ending.ANSWERED
    said = answer.result if answered else {}
    exit_code = {
        Ending.ANSWERED: said.get("exit_code", _COMPILE_FAILED),
        Ending.RAISED: 1,
        Ending.CRASHED: answer.exit_code,
        Ending.TIMED_OUT: _TIMED_OUT,
    }[answer.ending]
    error = words or answer.error or said.get("error_message")
    if answer.ending is Ending.TIMED_OUT:
        error = f"the run passed its deadline of {run.case.deadline_s:g} s: {answer.error}"
    return ExecResult(
        success=said.get("success") is True,
        exit_code=int(str(exit_code)),
        duration_s=float(str(said.get("duration_s", answer.duration_s))),
        error_message=None if error is None else str(error),
        error_type=answer.error_type,
        step_results=said.get("step_results"),
        stdout=run.conversation.stdout,
        stderr=run.conversation.stderr,
        timed_out=answer.ending is Ending.TIMED_OUT,
        crashed=answer.ending is Ending.CRASHED,
    )


def _mapping(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _path(found: dict[str, Json] | object, key: str, place: Path) -> Path | None:
    """Where the product says a file is, else its usual place if it is there."""
    said = found.get(key) if isinstance(found, dict) else None
    path = Path(said) if isinstance(said, str) else place
    return path if path.exists() else None


def _out_of_order(what: str, before: str, context: ExecutionContext) -> UsageError:
    return UsageError(
        f"a run that was not {before} cannot be {what}: {context.session_id}",
        expected="prepare, execute, collect, in this order, with one context and one adapter",
        next_step="correct the order of the calls",
    )
