"""The mutation score: faults planted into real runs are found, each at its place.

A sample of those in sandboxes, and all of those in what came back from the released
Osiris. The whole is `harness parity controls`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.model.outcome import Outcome
from harness.targets.command.controls import FAILING
from harness.targets.command.controls import FAULTS as SANDBOX_FAULTS
from harness.targets.command.inside.faulty import FAULTS as APPLIED
from harness.targets.osiris import OsirisTarget
from harness.workflow.parity_controls import ControlOptions, control_names, run_controls

pytestmark = [pytest.mark.e2b, pytest.mark.parity]

SAMPLE = {"row lost", "permissions changed", "stdout cut at 32 KiB", "exit code 0 on failure"}
SEARCH_PATH = os.pathsep.join(os.get_exec_path())


def test_every_fault_in_what_came_back_is_found(
    osiris_target: OsirisTarget, tmp_path: Path
) -> None:
    """A real run of Osiris is silent, and each fault in it alone is red at its path."""
    options = ControlOptions(search_path=SEARCH_PATH, groups=("came-back",))
    verdict = run_controls(osiris_target.settings, osiris_target, options, reports=tmp_path)
    wrong = [(c.name, c.reason) for c in verdict.checks if c.outcome is not Outcome.PASSED]
    assert wrong == []
    assert verdict.details["found"] == verdict.details["total"] == len(control_names(options))


def test_faults_in_a_sandbox_are_found(osiris_target: OsirisTarget, tmp_path: Path) -> None:
    """A program that is spoilt where it runs is red at the path of what was spoilt."""
    options = ControlOptions(
        search_path=SEARCH_PATH,
        groups=("sandbox",),
        chosen=lambda name: name.removeprefix("sandbox: ") in SAMPLE,
    )
    verdict = run_controls(osiris_target.settings, osiris_target, options, reports=tmp_path)
    assert [(c.name, c.reason) for c in verdict.checks if c.outcome is not Outcome.PASSED] == []
    assert (verdict.details["found"], verdict.details["total"]) == (4, 4)
    assert verdict.details["clean"] is True


def test_every_fault_of_a_sandbox_says_where_it_shows() -> None:
    """What is applied there and what is looked for here are one list."""
    assert {*SANDBOX_FAULTS, *FAILING} == set(APPLIED) - {"nothing"}
