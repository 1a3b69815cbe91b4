"""Does Osiris work in a sandbox? Its real E2B adapter, on the emulator; nothing is mocked."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from osiris_runs import present, rows, run

from harness.emulator.attach import admin
from harness.errors import HarnessError
from harness.model.run import ExecutionContext, PipelineCase
from harness.model.side import Endpoint, Side
from harness.targets.osiris import OsirisTarget
from harness.targets.osiris.adapter import OsirisAdapter

pytestmark = [pytest.mark.e2b, pytest.mark.e2b_smoke]


class TestPrepare:
    def test_prepare_valid_pipeline_has_a_config_for_each_step(
        self,
        e2b_sandbox: OsirisAdapter,
        execution_context: ExecutionContext,
        small_pipeline: PipelineCase,
    ) -> None:
        """Prepare compiles the pipeline and indexes one config file for each step."""
        prepared = e2b_sandbox.prepare(small_pipeline, execution_context)
        steps = prepared.plan["steps"]
        assert isinstance(steps, list)
        ids = [step["id"] for step in steps if isinstance(step, dict)]
        assert ids
        assert set(prepared.cfg_index) == {f"cfg/{step_id}.json" for step_id in ids}
        assert prepared.run_params["adapter"] == "e2b_transparent_proxy"

    def test_prepare_states_the_limits_of_the_run(
        self,
        e2b_sandbox: OsirisAdapter,
        execution_context: ExecutionContext,
        small_pipeline: PipelineCase,
    ) -> None:
        """The sandbox's timeout, CPU and memory are in the prepared run."""
        constraints = e2b_sandbox.prepare(small_pipeline, execution_context).constraints
        assert constraints["timeout_seconds"] == 300
        assert constraints["cpu_count"] == 2
        assert constraints["max_memory_gb"] == 4

    def test_prepare_pipeline_that_does_not_compile_says_why(
        self,
        e2b_sandbox: OsirisAdapter,
        execution_context: ExecutionContext,
        small_pipeline: PipelineCase,
    ) -> None:
        """A pipeline that Osiris cannot compile is refused with Osiris's words."""
        oml = small_pipeline.oml.replace("duckdb.processor", "no.such")
        broken = replace(small_pipeline, oml=oml)
        with pytest.raises(HarnessError) as caught:
            e2b_sandbox.prepare(broken, execution_context)
        assert "does not compile" in caught.value.happened
        assert "generate" in caught.value.happened  # the step, in words of Osiris's compiler


class TestExecution:
    def test_execute_small_pipeline_succeeds_with_its_rows(
        self,
        e2b_sandbox: OsirisAdapter,
        execution_context: ExecutionContext,
        small_pipeline: PipelineCase,
    ) -> None:
        """The pipeline runs in a sandbox, and the data that it wrote there is what it promises."""
        _, result, collected = run(e2b_sandbox, small_pipeline, execution_context)
        assert result.success, result.error_message
        assert result.exit_code == 0
        assert len(rows(collected, small_pipeline.outputs[0])) == 10

    def test_execute_asks_the_service_for_one_sandbox_and_ends_it(
        self,
        e2b_sandbox: OsirisAdapter,
        e2b_endpoint: Endpoint,
        execution_context: ExecutionContext,
        small_pipeline: PipelineCase,
    ) -> None:
        """A real sandbox was created over the wire, and none is left."""
        run(e2b_sandbox, small_pipeline, execution_context)
        with admin(e2b_endpoint) as far_end:
            states = {row["sandbox_id"]: row["state"] for row in far_end.sandboxes()}
        (sandbox_id,) = e2b_sandbox.sandbox_ids
        assert sandbox_id in states
        assert "running" not in states.values()

    def test_execute_two_pipelines_in_turn_uses_two_sandboxes(
        self,
        e2b_sandbox: OsirisAdapter,
        make_execution_context: Callable[..., ExecutionContext],
        small_pipeline: PipelineCase,
    ) -> None:
        """Runs share nothing: each gets a sandbox of its own."""
        for _ in range(2):
            _, result, _ = run(e2b_sandbox, small_pipeline, make_execution_context())
            assert result.success, result.error_message
        assert len(set(e2b_sandbox.sandbox_ids)) == 2


class TestArtifacts:
    def test_collect_finds_logs_and_artifacts(
        self,
        e2b_sandbox: OsirisAdapter,
        execution_context: ExecutionContext,
        small_pipeline: PipelineCase,
    ) -> None:
        """Events, metrics and the artifacts of each step come back to this machine."""
        _, _, collected = run(e2b_sandbox, small_pipeline, execution_context)
        events = [
            json.loads(line) for line in present(collected.events_log).read_text().splitlines()
        ]
        assert {"run_start", "step_start", "step_complete"} <= {event["event"] for event in events}
        assert present(collected.metrics_log).read_text().strip()
        assert [path for path in present(collected.artifacts_dir).rglob("*") if path.is_file()]

    def test_collect_keeps_what_stayed_in_the_sandbox(
        self,
        e2b_sandbox: OsirisAdapter,
        execution_context: ExecutionContext,
        small_pipeline: PipelineCase,
    ) -> None:
        """The sandbox user's home is readable after the sandbox is gone."""
        _, _, collected = run(e2b_sandbox, small_pipeline, execution_context)
        assert (present(collected.sandbox_dir) / "proxy_worker.py").is_file()


class TestErrors:
    def test_execute_failing_pipeline_is_a_result_with_its_error(
        self,
        e2b_sandbox: OsirisAdapter,
        e2b_endpoint: Endpoint,
        execution_context: ExecutionContext,
        error_pipeline: PipelineCase,
    ) -> None:
        """A failing step fails the run, and its sandbox is ended all the same."""
        _, result, collected = run(e2b_sandbox, error_pipeline, execution_context)
        assert not result.success
        assert result.exit_code != 0
        assert "step_failed" in present(collected.events_log).read_text()
        with admin(e2b_endpoint) as emulator:
            assert [s for s in emulator.sandboxes() if s["state"] == "running"] == []

    def test_execute_with_a_wrong_key_is_a_failure_that_names_it(
        self,
        _create_test_e2b_adapter: Callable[..., OsirisAdapter],
        execution_context: ExecutionContext,
        small_pipeline: PipelineCase,
    ) -> None:
        """A key that the service does not know fails the run; no sandbox is made."""
        adapter = _create_test_e2b_adapter(use_real=True, api_key="e2b_" + "0" * 40)
        prepared = adapter.prepare(small_pipeline, execution_context)
        result = adapter.execute(prepared, execution_context)
        assert not result.success
        assert "401" in str(result.error_message)
        assert adapter.sandbox_ids == ()

    def test_execute_past_its_deadline_is_ended(
        self,
        e2b_sandbox: OsirisAdapter,
        execution_context: ExecutionContext,
        timeout_prone_pipeline: PipelineCase,
    ) -> None:
        """A pipeline that runs past its deadline is ended and said to be."""
        prepared = e2b_sandbox.prepare(timeout_prone_pipeline, execution_context)
        result = e2b_sandbox.execute(prepared, execution_context)
        assert not result.success
        assert result.timed_out

    def test_execute_against_a_dead_service_is_a_failure(
        self,
        osiris_target: OsirisTarget,
        execution_context: ExecutionContext,
        small_pipeline: PipelineCase,
        unused_tcp_port: int,
    ) -> None:
        """Where nothing listens, the run fails by itself and does not hang."""
        url = f"http://127.0.0.1:{unused_tcp_port}"
        dead = Endpoint(
            name="emulator",
            env={"E2B_API_URL": url, "E2B_SANDBOX_URL": url, "E2B_API_KEY": "e2b_" + "0" * 40},
        )
        with osiris_target.adapter(Side.E2B, dead) as adapter:
            prepared = adapter.prepare(small_pipeline, execution_context)
            result = adapter.execute(prepared, execution_context)
        assert not result.success
        assert not result.timed_out
