"""Osiris's command line as an execution adapter: `osiris run` with a case's own arguments.

What the adapters of the product cannot show, such as an option of the command line or a
person's Ctrl-C, is run as a person runs it. Compiling is part of that one command.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness.clock import SystemClock
from harness.errors import UsageError
from harness.model.run import (
    CollectedArtifacts,
    Deed,
    ExecResult,
    ExecutionContext,
    Json,
    PipelineCase,
    PreparedRun,
)
from harness.model.side import Endpoint
from harness.settings import Settings
from harness.targets.osiris.collecting import collect_left_behind, volatile_of
from harness.targets.osiris.command_line import json_document, without_document
from harness.targets.osiris.disturbances import Watch, strike
from harness.targets.osiris.environment import OsirisEnvironment
from harness.targets.osiris.project import EVENTS_FILE, PIPELINE_FILE, Project, child_environment
from harness.targets.osiris.services import Services
from harness.targets.processes import ProcessGroup, describe_exit

__all__ = ["CommandLineAdapter"]

_TIMED_OUT = 124  # as timeout(1) says it
_SIGNALLED = 128
# Source: osiris 0.5.7 remote/e2b_transparent_proxy.py _create_sandbox.
_SANDBOX = re.compile(r"Sandbox created: (\S+)")
_ASKED_FOR = "Creating E2B sandbox"


@dataclass(slots=True, kw_only=True)
class _Run:
    """What is known of one command between the calls."""

    context: ExecutionContext
    project: Project
    result: ExecResult | None = None
    undisturbed: str | None = None
    said_session: str | None = None

    @property
    def logs_dir(self) -> Path | None:
        """The session's folder: what the product says, else the newest that it began."""
        if self.said_session is not None:
            return self.project.folder / self.said_session
        return self.project.newest_session()

    @property
    def events_log(self) -> Path | None:
        """The file in that folder to which the events are being written."""
        folder = self.logs_dir
        return folder / EVENTS_FILE if folder is not None else None

    @property
    def sandbox_ids(self) -> tuple[str, ...]:
        """The sandboxes that the product's log tells of."""
        return tuple(_SANDBOX.findall(self._log))

    @property
    def sandbox_asked_for(self) -> bool:
        """Whether the product came as far as to ask for a sandbox."""
        return _ASKED_FOR in self._log

    @property
    def _log(self) -> str:
        folder = self.logs_dir
        try:
            return (folder / "osiris.log").read_bytes().decode("utf-8", "replace") if folder else ""
        except FileNotFoundError:
            return ""


class CommandLineAdapter:
    """Runs cases that have `arguments`; implements `harness.ports.ExecutionAdapter`.

    Args:
        environment: where the product is installed.
        settings: sandbox timeout and secrets.
        endpoint: the E2B service; None for the local side.
        services: what cases may need.
    """

    def __init__(
        self,
        *,
        environment: OsirisEnvironment,
        settings: Settings,
        endpoint: Endpoint | None,
        services: Services,
    ) -> None:
        self._environment = environment
        self._settings = settings
        self._endpoint = endpoint
        self._services = services
        self._runs: dict[Path, _Run] = {}
        self._process: ProcessGroup | None = None

    def prepare(self, case: PipelineCase, context: ExecutionContext) -> PreparedRun:
        """Writes the project; the command compiles it.

        Raises:
            UsageError: if the context's folder is used already.
        """
        context = replace(context, base_path=context.base_path.resolve())
        self._runs[context.base_path] = _Run(context=context, project=Project.create(case, context))
        nothing: dict[str, Json] = {}
        return PreparedRun(
            case=case,
            plan=nothing,
            cfg_index=nothing,
            io_layout=nothing,
            run_params=nothing,
            constraints=nothing,
            metadata=nothing,
        )

    def execute(self, prepared: PreparedRun, context: ExecutionContext) -> ExecResult:
        """Runs the command; whatever comes of it is the result.

        Raises:
            NotRunError: if the case needs a service that is not there.
        """
        run, case = self._run(context), prepared.case
        variables = child_environment(
            environment=self._environment,
            project=run.project,
            case=case,
            settings=self._settings,
            endpoint=self._endpoint,
            given=self._services.give(case, self._endpoint),
        )
        command = [str(self._environment.osiris), *self._words(case)]
        clock = SystemClock()
        begun_s = clock.monotonic_s()
        with ProcessGroup(command, cwd=run.project.folder, env=variables) as process:
            self._process = process
            ended = self._wait(process, case, run)
            code = process.end()
            self._process = None
        document = json_document(process.stdout)
        session = (document or {}).get("session_dir")
        run.said_session = session if isinstance(session, str) else None
        run.result = _result(
            code if ended else None, document, process, clock.monotonic_s() - begun_s
        )
        return run.result

    def collect(self, prepared: PreparedRun, context: ExecutionContext) -> CollectedArtifacts:
        """Gathers the session's folder and what lies around it.

        Raises:
            UsageError: if nothing was executed in this context.
        """
        run, case = self._run(context), prepared.case
        if run.result is None:
            raise _out_of_order(context)
        logs = run.logs_dir
        left = collect_left_behind(
            run.project,
            case,
            run.context,
            variables=self._services.variables(case, self._settings, self._endpoint),
            endpoint=self._endpoint,
            sandbox_ids=run.sandbox_ids,
            words=run.result.error_message,
            refused=not run.sandbox_asked_for,
        )
        return CollectedArtifacts(
            outputs_dir=left.outputs,
            sandbox_dir=left.sandbox,
            undelivered=left.undelivered,
            wire=left.wire,
            logs_dir=logs,
            metadata={"harness": {"sandbox_ids": [*run.sandbox_ids]}},
            broken=left.broken or run.undisturbed,
            volatile=self._volatile(run, case),
        )

    @property
    def sandbox_ids(self) -> tuple[str, ...]:
        """Every sandbox that the product is known to have made."""
        return tuple(name for run in self._runs.values() for name in run.sandbox_ids)

    def abort(self) -> None:
        """Asks what runs to end, from any thread."""
        process = self._process
        if process is not None:
            process.abort()

    def close(self) -> None:
        """Nothing outlives `execute`."""

    def _words(self, case: PipelineCase) -> list[str]:
        life_s = case.sandbox_timeout_s or self._settings.sandbox_timeout_s
        remote = ("--e2b", "--timeout", str(life_s)) if self._endpoint is not None else ()
        return ["run", PIPELINE_FILE, "--json", *remote, *(case.arguments or ())]

    def _wait(self, process: ProcessGroup, case: PipelineCase, run: _Run) -> bool:
        disturbance, endpoint = case.disturbance, self._endpoint
        if disturbance is None or (endpoint is None and disturbance.deed is not Deed.INTERRUPT):
            return process.wait(case.deadline_s)

        def blow() -> None:
            if disturbance.deed is Deed.INTERRUPT:
                process.interrupt()
            elif endpoint is not None:
                strike(disturbance, endpoint, next(iter(run.sandbox_ids[-1:]), None))

        with Watch(disturbance, lambda: run.events_log, blow) as watch:
            ended = process.wait(case.deadline_s)
        run.undisturbed = watch.why_broken()
        return ended

    def _volatile(self, run: _Run, case: PipelineCase) -> dict[str, str]:
        logs = run.logs_dir
        found = {str(self._environment.folder): "<environment>"}
        if logs is not None:
            # Osiris's folder is `<time>_<run id>-<hash>`, and the run id stands elsewhere, too.
            name = logs.name.partition("_")[2].rpartition("-")[0]
            found |= {str(logs): "<logs>", name: "<run>", logs.name: "<log-folder>"}
        return {
            **found,
            **volatile_of(run.context, run.sandbox_ids),
            **self._services.volatile(case, self._endpoint),
        }

    def _run(self, context: ExecutionContext) -> _Run:
        run = self._runs.get(context.base_path.resolve())
        if run is None:
            raise _out_of_order(context)
        return run


def _result(
    code: int | None,
    document: Mapping[str, Json] | None,
    process: ProcessGroup,
    duration_s: float,
) -> ExecResult:
    """The document is what the command says of its run, and is compared by its fields."""
    said = (document or {}).get("message") if code else None
    if code is None:
        error = "the run passed its deadline"
    elif code != 0:
        error = str(said) if said else describe_exit(code)
    else:
        error = None
    signalled = code is not None and code < 0
    return ExecResult(
        success=code == 0,
        exit_code=_TIMED_OUT if code is None else (_SIGNALLED - code if signalled else code),
        duration_s=duration_s,
        error_message=error,
        step_results=None if document is None else _told(document),
        stdout=without_document(process.stdout),
        stderr=process.stderr,
        timed_out=code is None,
    )


def _told(document: Mapping[str, Json]) -> dict[str, Json]:
    """The command's answer, its parts of the duration by names that say what they are."""
    told = dict(document)
    parts = told.get("duration")
    if isinstance(parts, dict):
        told["duration"] = {f"{name}_duration": value for name, value in parts.items()}
    return told


def _out_of_order(context: ExecutionContext) -> UsageError:
    return UsageError(
        f"a run was asked for out of order: {context.session_id}",
        expected="prepare, execute, collect, in this order, with one context and one adapter",
        next_step="correct the order of the calls",
    )
