"""Exploration on the released Osiris finds by itself what the case library knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from harness.model.side import Endpoint
from harness.ports import Target
from harness.settings import Settings
from harness.targets.osiris import OsirisTarget
from harness.targets.osiris.case_library import load_case
from harness.workflow.exploration import ExplorationOptions, run_exploration
from harness.workflow.parity_endpoint import FarEnd

pytestmark = [pytest.mark.e2b, pytest.mark.parity]


def test_one_drawn_pipeline_shows_divergences_that_the_library_knows(
    osiris_target: OsirisTarget,
    e2b_endpoint: Endpoint,
    harness_settings: Settings,
    tmp_path: Path,
) -> None:
    """Five at least, each with its cause, in a file that is a case; both sides are real."""

    @contextmanager
    def reach(kind: FarEnd, target: Target, settings: Settings) -> Iterator[Endpoint]:
        del kind, target, settings
        yield e2b_endpoint

    settings = replace(harness_settings, root=tmp_path)
    options = ExplorationOptions(examples=1, seed=7, most_runs=1)
    verdict = run_exploration(settings, osiris_target, options, reach=reach)
    finds = verdict.details["finds"]
    assert isinstance(finds, list)
    found = [item for item in finds if isinstance(item, dict)]
    causes = {item["known"]["link"] for item in found if isinstance(item["known"], dict)}
    assert len(causes) >= 5
    assert all(item["confirmed"] for item in found)
    for name in {str(item["file"]) for item in found}:
        assert load_case(Path(name)).oml
