"""Osiris's real command line: `osiris compile` and `osiris run [--e2b]`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.clock import SystemClock
from harness.errors import UsageError
from harness.model.run import ExecutionContext, Json, PipelineCase
from harness.model.side import Endpoint
from harness.settings import Settings
from harness.targets.osiris.environment import OsirisEnvironment
from harness.targets.osiris.project import PIPELINE_FILE, Project, child_environment
from harness.targets.processes import ProcessGroup

__all__ = ["CliRun", "json_document", "osiris_compile", "osiris_run", "without_document"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CliRun:
    """One invocation of the product's command line.

    Attributes:
        argv: what was run.
        exit_code: its exit code; negative for a signal, None where it was ended at the deadline.
        stdout: decoded as UTF-8 with replacement.
        stderr: the same.
        duration_s: wall time in seconds.
        project_dir: its project folder.
        outputs_dir: copies of the files that it created or changed, but for its own folders.
        session_dir: its session folder, None where it named none.
        document: the JSON object that `--json` printed, None where there is none.
        timed_out: the deadline passed.
    """

    argv: tuple[str, ...]
    exit_code: int | None
    stdout: str
    stderr: str
    duration_s: float
    project_dir: Path
    outputs_dir: Path
    session_dir: Path | None = None
    document: Mapping[str, Json] | None = None
    timed_out: bool = False


def osiris_compile(
    case: PipelineCase,
    context: ExecutionContext,
    *,
    environment: OsirisEnvironment,
    settings: Settings,
    extra_args: Sequence[str] = (),
) -> CliRun:
    """Runs `osiris compile pipeline.yaml --json` in a project folder of its own.

    Raises:
        UsageError: if the context's folder is used already.
    """
    argv = ("compile", PIPELINE_FILE, "--json", *extra_args)
    return _run(argv, case, context, environment=environment, settings=settings, endpoint=None)


def osiris_run(
    case: PipelineCase,
    context: ExecutionContext,
    *,
    e2b: bool,
    environment: OsirisEnvironment,
    settings: Settings,
    endpoint: Endpoint | None = None,
    extra_args: Sequence[str] = (),
) -> CliRun:
    """Runs `osiris run pipeline.yaml --json [--e2b]` in a project folder of its own.

    Raises:
        UsageError: if `e2b` is asked for without an endpoint, or the context's folder
            is used already.
    """
    if e2b and endpoint is None:
        raise UsageError(
            "no endpoint for `osiris run --e2b`",
            expected="the emulator's endpoint, or the real service's",
            next_step="start one with `harness emulator serve`, or go live with a key",
        )
    remote = ("--e2b", "--timeout", str(settings.sandbox_timeout_s)) if e2b else ()
    return _run(
        ("run", PIPELINE_FILE, "--json", *remote, *extra_args),
        case,
        context,
        environment=environment,
        settings=settings,
        endpoint=endpoint if e2b else None,
    )


def _run(
    argv: tuple[str, ...],
    case: PipelineCase,
    context: ExecutionContext,
    *,
    environment: OsirisEnvironment,
    settings: Settings,
    endpoint: Endpoint | None,
) -> CliRun:
    context = replace(context, base_path=context.base_path.resolve())
    project = Project.create(case, context)
    variables = child_environment(
        environment=environment,
        project=project,
        case=case,
        settings=settings,
        endpoint=endpoint,
    )
    clock = SystemClock()
    begun_s = clock.monotonic_s()
    command = [str(environment.osiris), *argv]
    with ProcessGroup(command, cwd=project.folder, env=variables) as process:
        ended = process.wait(case.deadline_s)
        code = process.end()
    outputs = context.base_path / "outputs"
    project.copy_outputs(outputs)
    document = json_document(process.stdout)
    return CliRun(
        argv=("osiris", *argv),
        exit_code=code if ended else None,
        stdout=process.stdout,
        stderr=process.stderr,
        duration_s=clock.monotonic_s() - begun_s,
        project_dir=project.folder,
        outputs_dir=outputs,
        session_dir=_session_dir(document, project),
        document=document,
        timed_out=not ended,
    )


def json_document(stdout: str) -> Mapping[str, Json] | None:
    """What `--json` printed: the last JSON object on a line of its own, among other things."""
    for line in reversed(stdout.splitlines()):
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            return value
    try:
        value = json.loads(stdout)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def without_document(stdout: str) -> str:
    """Standard output without the line of JSON that `json_document` reads."""
    lines = stdout.splitlines(keepends=True)
    for number in range(len(lines) - 1, -1, -1):
        try:
            value = json.loads(lines[number])
        except ValueError:
            continue
        if isinstance(value, dict):
            return "".join(lines[:number] + lines[number + 1 :])
    return stdout


def _session_dir(document: Mapping[str, Json] | None, project: Project) -> Path | None:
    said = (document or {}).get("session_dir")
    return project.folder / said if isinstance(said, str) else None
