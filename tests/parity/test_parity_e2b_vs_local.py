"""Does Osiris do the same in a sandbox as on this machine?

The seed cases of parity as pytest tests: result, logs, artifacts, errors, data
volumes. The matrix over the whole case library is `nox -s parity`.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.model.evidence import Evidence, FileRole
from harness.model.run import ExecutionContext, PipelineCase
from harness.model.side import Side
from harness.parity import normalize
from harness.targets.osiris import OsirisTarget
from harness.targets.osiris.adapter import OsirisAdapter

pytestmark = [pytest.mark.e2b, pytest.mark.parity]


@pytest.fixture
def both_sides(
    osiris_target: OsirisTarget,
    local_adapter: OsirisAdapter,
    e2b_adapter: OsirisAdapter,
    make_execution_context: Callable[..., ExecutionContext],
) -> Callable[[PipelineCase], tuple[Evidence, Evidence]]:
    """Runs a pipeline on both sides and gathers the evidence."""

    def run(adapter: OsirisAdapter, side: Side, case: PipelineCase) -> Evidence:
        context = make_execution_context()
        prepared = adapter.prepare(case, context)
        result = adapter.execute(prepared, context)
        collected = adapter.collect(prepared, context)
        return osiris_target.gather(side, case, context, result, collected)

    def both(case: PipelineCase) -> tuple[Evidence, Evidence]:
        return run(local_adapter, Side.LOCAL, case), run(e2b_adapter, Side.E2B, case)

    return both


Both = Callable[[PipelineCase], tuple[Evidence, Evidence]]


def outputs(evidence: Evidence) -> dict[str, str]:
    return {f.path: f.sha256 for f in evidence.files if f.role is FileRole.OUTPUT}


class TestResultConsistency:
    def test_both_sides_succeed_with_the_same_output(
        self, both_sides: Both, parity_pipeline: PipelineCase
    ) -> None:
        """Success, exit code and every byte of the output data are the same."""
        local, remote = both_sides(parity_pipeline)
        assert (local.result.success, local.result.exit_code) == (True, 0)
        assert (remote.result.success, remote.result.exit_code) == (True, 0)
        assert set(outputs(local)) == set(parity_pipeline.outputs)
        assert outputs(local) == outputs(remote)


class TestLogs:
    def test_normalized_step_events_are_the_same(
        self, both_sides: Both, parity_pipeline: PipelineCase
    ) -> None:
        """Each step starts and completes in the same order on both sides."""
        local, remote = (normalize(side) for side in both_sides(parity_pipeline))
        assert step_names(local) == step_names(remote)
        assert step_names(local)

    def test_every_line_of_the_logs_parses(
        self, both_sides: Both, parity_pipeline: PipelineCase
    ) -> None:
        """No line of events or metrics is broken on either side."""
        for evidence in both_sides(parity_pipeline):
            assert evidence.events
            assert evidence.metrics
            assert [r for r in (*evidence.events, *evidence.metrics) if r.raw is not None] == []


class TestArtifacts:
    def test_both_sides_keep_a_config_of_each_step(
        self, both_sides: Both, parity_pipeline: PipelineCase
    ) -> None:
        """The artifacts that both sides promise are there on both."""
        local, remote = both_sides(parity_pipeline)
        promised = {f.path for f in local.files if f.path.endswith("cleaned_config.json")}
        assert promised
        assert promised <= {f.path for f in remote.files if f.role is FileRole.ARTIFACT}


class TestErrors:
    def test_both_sides_fail_on_bad_sql(
        self, both_sides: Both, error_pipeline: PipelineCase
    ) -> None:
        """A failing pipeline fails on both sides with the same exit code."""
        local, remote = both_sides(error_pipeline)
        assert not local.result.success
        assert not remote.result.success
        assert local.result.exit_code == remote.result.exit_code


class TestDataVolumes:
    @pytest.mark.parametrize("rows", [10, 100, 1000])
    def test_every_row_arrives(
        self, both_sides: Both, osiris_target: OsirisTarget, rows: int
    ) -> None:
        """As many rows as were generated are written on both sides, byte for byte alike."""
        case = osiris_target.case(f"rows-{rows}")
        local, remote = both_sides(case)
        assert outputs(local)
        assert outputs(local) == outputs(remote)
        (written,) = [f for f in local.files if f.role is FileRole.OUTPUT]
        assert len(written.location.read_text(encoding="utf-8").splitlines()) == rows + 1


def step_names(evidence: Evidence) -> list[tuple[str, str]]:
    return [
        (str(record.fields["event"]), str(record.fields["step_id"]))
        for record in evidence.events or ()
        if record.fields.get("event") in {"step_start", "step_complete"}
    ]
