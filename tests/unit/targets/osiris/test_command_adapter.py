"""A case with arguments runs by the product's command line, as a person runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from harness.model.run import Deed, Disturbance, ExecutionContext, PipelineCase
from harness.model.side import Side
from harness.settings import Settings
from harness.targets.osiris import OsirisTarget
from harness.targets.osiris.adapter import OsirisAdapter
from harness.targets.osiris.environment import OsirisEnvironment

SLOW = "SELECT sum(hash(i) % 7) AS total FROM range(1000000000) AS t(i)"
MakeCase = Callable[..., PipelineCase]


@pytest.fixture
def adapter(environment: OsirisEnvironment, settings: Settings) -> Iterator[OsirisAdapter]:
    with OsirisAdapter(side=Side.LOCAL, environment=environment, settings=settings) as adapter:
        yield adapter


def test_adapter_arguments_reach_the_command_line(
    adapter: OsirisAdapter, target: OsirisTarget, context: ExecutionContext, make_case: MakeCase
) -> None:
    """The answer, the session and its files are evidence; parts of a duration say what they are."""
    case = make_case(arguments=("--out", "shipped"), outputs=("out.csv",))
    prepared = adapter.prepare(case, context)
    result = adapter.execute(prepared, context)
    assert (result.success, result.exit_code, result.error_message) == (True, 0, None)
    assert isinstance(result.step_results, dict)
    assert result.step_results["status"] == "success"
    assert set(result.step_results["duration"]) == {"total_duration", "compile_duration"}  # type: ignore[arg-type]  # a mapping, or it fails
    collected = adapter.collect(prepared, context)
    evidence = target.gather(Side.LOCAL, case, context, result, collected)
    paths = {file.path for file in evidence.files}
    assert {"out.csv", "query/cleaned_config.json", "manifest.yaml"} <= paths
    assert result.step_results["artifacts_dir"] == "shipped"
    assert evidence.broken is None
    assert evidence.log
    assert evidence.wire == {"environment": {}, "files": {}}


def test_adapter_option_that_there_is_not_is_a_failure_with_its_exit_code(
    adapter: OsirisAdapter, target: OsirisTarget, context: ExecutionContext, make_case: MakeCase
) -> None:
    """What the command line refuses is evidence too, and needs no session."""
    case = make_case(arguments=("--no-such-option",))
    prepared = adapter.prepare(case, context)
    result = adapter.execute(prepared, context)
    assert (result.success, result.exit_code) == (False, 2)
    evidence = target.gather(Side.LOCAL, case, context, result, adapter.collect(prepared, context))
    assert evidence.broken is None
    assert "--no-such-option" in f"{result.stdout}{result.step_results}"


def test_adapter_interrupt_falls_while_its_step_runs(
    adapter: OsirisAdapter, target: OsirisTarget, context: ExecutionContext, make_case: MakeCase
) -> None:
    """Ctrl-C ends the run in its query: the step began, and the one behind it did not."""
    case = make_case(SLOW, arguments=(), disturbance=Disturbance(step="query", deed=Deed.INTERRUPT))
    prepared = adapter.prepare(case, context)
    result = adapter.execute(prepared, context)
    assert not result.success
    evidence = target.gather(Side.LOCAL, case, context, result, adapter.collect(prepared, context))
    assert evidence.broken is None
    started = [
        e.fields["step_id"] for e in evidence.events or () if e.fields["event"] == "step_start"
    ]
    assert started == ["query"]
