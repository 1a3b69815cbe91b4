"""What a worker is told arrives whole: the real targets, their cases, and the far end's key."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from harness.model.side import Endpoint
from harness.ports import Target
from harness.settings import Secret, Settings
from harness.targets.command import CommandProgram, CommandTarget
from harness.targets.osiris import OsirisTarget
from harness.workflow.parity_workers import Orders

KEY = Endpoint(name="emulator", env={"E2B_API_KEY": "e2b_" + "0" * 40})


def targets(settings: Settings, folder: Path) -> list[Target]:
    program = CommandProgram(words=("true",), folder=folder, path="/bin", env={"A": "b"})
    return [
        OsirisTarget(settings=settings, version="0.5.6"),
        CommandTarget(settings=settings, program=program),
    ]


@pytest.mark.parametrize("number", [0, 1])
def test_orders_arrive_as_they_were_given(tmp_path: Path, number: int) -> None:
    """Target, version, cases, endpoint, folder, and how often the remote side runs."""
    settings = Settings(root=tmp_path, mysql_password=Secret("MYSQL_PASSWORD", "planted"))
    target = targets(settings, tmp_path)[number]
    given = Orders(
        settings=settings,
        target=target,
        endpoint=KEY,
        folder=tmp_path / "runs",
        cases={case.name: case for case in target.cases()},
        remote_runs=3,
    )
    got = Orders.unpacked(given.packed())
    assert (got.target.name, got.target.version) == (target.name, target.version)
    assert (got.settings, got.endpoint, got.folder) == (settings, KEY, tmp_path / "runs")
    assert dict(got.cases) == dict(given.cases)
    runner = got.runner()
    assert (runner.remote_runs, runner.mirror) == (3, tmp_path / "testing_env/logs/remote")


def test_something_else_is_no_orders() -> None:
    """What comes over the pipe is checked before it is used."""
    with pytest.raises(TypeError, match="not orders: dict"):
        Orders.unpacked(pickle.dumps({}))
