from __future__ import annotations

import pytest

from harness.model.outcome import Outcome
from harness.workflow.parity_controls import Control, ControlOptions, control_names


@pytest.mark.parametrize(
    ("control", "outcome"),
    [
        (Control(name="a", path="x/y", seen=("x/y/z",)), Outcome.PASSED),
        (Control(name="a", path="x/y", seen=("other",)), Outcome.FAILED),
        (Control(name="a", path="x/y"), Outcome.FAILED),
        (Control(name="a", path=""), Outcome.PASSED),
        (Control(name="a", path="", seen=("x",)), Outcome.FAILED),
        (Control(name="a", path="x", seen=("x",), trouble="no run"), Outcome.BROKEN),
    ],
    ids=["found", "elsewhere", "missed", "silent", "false-alarm", "broken"],
)
def test_control_is_judged_by_its_place(control: Control, outcome: Outcome) -> None:
    """Found elsewhere is missed; a run without a fault must be silent; no run is no answer."""
    assert control.check().outcome is outcome
    assert control.found is (outcome is Outcome.PASSED)


def test_names_of_controls_are_unique_and_many() -> None:
    """The whole score counts more than forty faults, each with a name of its own."""
    names = control_names(ControlOptions(search_path=""))
    assert len(set(names)) == len(names) >= 40


def test_chosen_controls_are_the_only_ones() -> None:
    """An expression leaves out what it does not fit."""
    options = ControlOptions(search_path="", chosen=lambda name: "secret" in name)
    assert control_names(options) == ("came-back: secret in a config",)
