"""Osiris in a real E2B sandbox.

Needs E2B_API_KEY and E2B_LIVE_TESTS=1. With `--live-endpoint emulator` the same
tests run offline, through the same gateway, with the emulator in the service's place.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from osiris_runs import rows, run

from harness.model.run import ExecutionContext, PipelineCase
from harness.model.side import Endpoint
from harness.sdk import ApiEndpoint, ApiSandboxDirectory
from harness.targets.osiris.adapter import OsirisAdapter

pytestmark = [pytest.mark.e2b, pytest.mark.e2b_live]


class TestE2BLiveExecution:
    def test_live_simple_pipeline(
        self,
        e2b_sandbox: OsirisAdapter,
        execution_context: ExecutionContext,
        small_pipeline: PipelineCase,
    ) -> None:
        """A pipeline is created, run and ended in a real sandbox."""
        _, result, collected = run(e2b_sandbox, small_pipeline, execution_context)
        assert result.success, result.error_message
        assert rows(collected, small_pipeline.outputs[0])
        assert len(e2b_sandbox.sandbox_ids) == 1

    def test_live_sandbox_is_gone_after_the_run(
        self,
        e2b_sandbox: OsirisAdapter,
        e2b_endpoint: Endpoint,
        execution_context: ExecutionContext,
        small_pipeline: PipelineCase,
    ) -> None:
        """The service itself no longer lists the sandbox."""
        run(e2b_sandbox, small_pipeline, execution_context)
        with ApiSandboxDirectory(ApiEndpoint.from_env(e2b_endpoint.env)) as directory:
            left = [directory.get(sandbox_id) for sandbox_id in e2b_sandbox.sandbox_ids]
        assert left == [None]

    def test_live_environment_variables_reach_the_sandbox(
        self,
        e2b_sandbox: OsirisAdapter,
        execution_context: ExecutionContext,
        small_pipeline: PipelineCase,
    ) -> None:
        """A variable that Osiris passes on is visible to the pipeline's SQL."""
        pipeline = replace(
            small_pipeline,
            env={"MYSQL_HOST": "db.invalid", "UNRELATED": "stays here"},
            oml=_one_query(
                "SELECT contains(content, 'MYSQL_HOST=db.invalid') AS passed_on, "
                "contains(content, 'UNRELATED') AS unrelated FROM read_text('/proc/self/environ')",
                small_pipeline.outputs[0],
            ),
        )
        _, result, collected = run(e2b_sandbox, pipeline, execution_context)
        assert result.success, result.error_message
        assert rows(collected, pipeline.outputs[0]) == [{"passed_on": "True", "unrelated": "False"}]


class TestE2BLiveFailures:
    def test_live_failing_step_is_reported(
        self,
        e2b_sandbox: OsirisAdapter,
        execution_context: ExecutionContext,
        error_pipeline: PipelineCase,
    ) -> None:
        """A failing step fails the run, and its error comes back in the events."""
        _, result, collected = run(e2b_sandbox, error_pipeline, execution_context)
        assert not result.success
        assert collected.events_log is not None
        events = [json.loads(line) for line in collected.events_log.read_text().splitlines()]
        assert [event for event in events if event["event"] == "step_failed"]

    def test_live_wrong_key_is_refused(
        self,
        _create_test_e2b_adapter: Callable[..., OsirisAdapter],
        execution_context: ExecutionContext,
        small_pipeline: PipelineCase,
    ) -> None:
        """A key that the service does not know makes no sandbox."""
        adapter = _create_test_e2b_adapter(api_key="e2b_" + "0" * 40)
        _, result, _ = run(adapter, small_pipeline, execution_context)
        assert not result.success
        assert adapter.sandbox_ids == ()


class TestE2BLiveResources:
    @pytest.mark.slow
    def test_live_resource_intensive_pipeline(
        self,
        e2b_sandbox: OsirisAdapter,
        execution_context: ExecutionContext,
        resource_intensive_pipeline: PipelineCase,
    ) -> None:
        """About a million rows are aggregated within the sandbox's limits."""
        _, result, collected = run(e2b_sandbox, resource_intensive_pipeline, execution_context)
        assert result.success, result.error_message
        assert rows(collected, resource_intensive_pipeline.outputs[0])

    def test_live_timeout_is_passed_to_the_service(
        self,
        e2b_sandbox: OsirisAdapter,
        execution_context: ExecutionContext,
        small_pipeline: PipelineCase,
    ) -> None:
        """E2B_TIMEOUT is the sandbox's longest life."""
        constraints = e2b_sandbox.prepare(small_pipeline, execution_context).constraints
        assert math.isclose(float(str(constraints["timeout_seconds"])), 300.0)


class TestE2BLiveArtifacts:
    def test_live_artifacts_come_back(
        self,
        e2b_sandbox: OsirisAdapter,
        execution_context: ExecutionContext,
        small_pipeline: PipelineCase,
    ) -> None:
        """Logs and artifacts are on this machine after the sandbox is gone."""
        _, _, collected = run(e2b_sandbox, small_pipeline, execution_context)
        assert collected.events_log is not None
        assert collected.metrics_log is not None
        assert collected.artifacts_dir is not None
        assert [path for path in collected.artifacts_dir.rglob("*") if path.is_file()]

    def test_live_files_of_the_sandbox_are_fetched_before_the_kill(
        self,
        e2b_sandbox: OsirisAdapter,
        execution_context: ExecutionContext,
        small_pipeline: PipelineCase,
    ) -> None:
        """What the product leaves in the sandbox is kept, also where the service drops it."""
        _, _, collected = run(e2b_sandbox, small_pipeline, execution_context)
        assert collected.sandbox_dir is not None
        assert (collected.sandbox_dir / "proxy_worker.py").is_file()


def _one_query(query: str, output: str) -> str:
    return f"""
oml_version: "0.1.0"
name: one_query
steps:
  - id: generate
    component: duckdb.processor
    mode: transform
    config:
      query: "{query}"
  - id: write
    component: filesystem.csv_writer
    mode: write
    needs: [generate]
    config:
      path: {output}
"""
