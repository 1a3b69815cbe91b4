"""The product's command line, as a user types it, in a project of its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.errors import UsageError
from harness.model.run import ExecutionContext, PipelineCase
from harness.settings import Settings
from harness.targets.osiris import OsirisTarget
from harness.targets.osiris.command_line import osiris_compile, osiris_run
from harness.targets.osiris.environment import OsirisEnvironment

MakeCase = Callable[..., PipelineCase]


def test_run_writes_the_file_and_names_its_session(
    target: OsirisTarget,
    context: ExecutionContext,
    environment: OsirisEnvironment,
    settings: Settings,
) -> None:
    """Exit code, JSON document, session folder and output are the product's own."""
    case = target.case("small_pipeline")
    run = osiris_run(case, context, e2b=False, environment=environment, settings=settings)
    assert (run.exit_code, run.timed_out) == (0, False)
    assert run.document is not None
    assert run.document["status"] == "success"
    assert run.session_dir is not None
    assert (run.session_dir / "events.jsonl").is_file()
    assert (run.outputs_dir / "output" / "rows.csv").is_file()


def test_run_of_a_failing_pipeline_ends_with_one(
    context: ExecutionContext,
    environment: OsirisEnvironment,
    settings: Settings,
    make_case: MakeCase,
) -> None:
    """The failure is a result with the product's words."""
    case = make_case("SELECT * FROM missing")
    run = osiris_run(case, context, e2b=False, environment=environment, settings=settings)
    assert run.exit_code == 1
    assert run.document is not None
    assert "missing" in str(run.document["message"])


def test_run_past_its_deadline_has_no_exit_code(
    context: ExecutionContext,
    environment: OsirisEnvironment,
    settings: Settings,
    make_case: MakeCase,
) -> None:
    """The command is ended, and its exit code is not taken for the product's."""
    run = osiris_run(
        make_case(deadline_s=0.2), context, e2b=False, environment=environment, settings=settings
    )
    assert (run.exit_code, run.timed_out, run.document) == (None, True, None)


def test_compile_takes_extra_arguments(
    context: ExecutionContext,
    environment: OsirisEnvironment,
    settings: Settings,
    make_case: MakeCase,
) -> None:
    """What the caller adds is on the command line."""
    run = osiris_compile(
        make_case(),
        context,
        environment=environment,
        settings=settings,
        extra_args=("--profile", "prod"),
    )
    assert run.argv == ("osiris", "compile", "pipeline.yaml", "--json", "--profile", "prod")
    assert run.exit_code == 0
    assert run.document is not None
    assert run.document["profile"] == "prod"


def test_run_in_a_sandbox_without_an_endpoint_is_refused(
    context: ExecutionContext,
    environment: OsirisEnvironment,
    settings: Settings,
    make_case: MakeCase,
) -> None:
    """Nothing is started that could reach the real service by accident."""
    with pytest.raises(UsageError, match="endpoint"):
        osiris_run(make_case(), context, e2b=True, environment=environment, settings=settings)
    assert not context.project_dir.exists()
