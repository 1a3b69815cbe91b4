"""A sample of the trials: a program ended at one point of its work leaves nothing.

All of them: `python benchmarks/orphan_trials.py --trials 200`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cut_wire import Moment, Point
from orphan_trials import Bench, Program, Trial, Way, osiris_program, python_program

from harness.emulator.attach import Emulator
from harness.settings import Settings
from harness.targets.osiris import OsirisTarget

pytestmark = [pytest.mark.e2b]

# What the Python script asks for first: a create, an upload, a command.
CREATE, UPLOAD, RUN = (Point(number=number, moment=Moment.PENDING) for number in (1, 2, 3))
BEFORE_CREATE = Point(number=1, moment=Moment.BEFORE)


@pytest.fixture(scope="module")
def bench(osiris_target: OsirisTarget, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Emulator(
        "--no-stamp",
        packages=osiris_target.template_packages(),
        template_dir=osiris_target.settings.testing_env / "templates",
    ) as emulator:
        bench = Bench(emulator, tmp_path_factory.mktemp("trials"))
        yield bench
        bench.close()


@pytest.fixture(scope="module")
def script(osiris_target: OsirisTarget, tmp_path_factory: pytest.TempPathFactory) -> Program:
    return python_program(osiris_target, tmp_path_factory.mktemp("script") / "python")


@pytest.mark.parametrize(
    ("way", "point", "created"),
    [
        (Way.KILL, BEFORE_CREATE, 1),
        (Way.TERM, CREATE, 1),
        (Way.INT, RUN, 1),
        (Way.EXCEPTION, CREATE, 1),
        (Way.EXCEPTION, UPLOAD, 1),
        (Way.NETWORK, CREATE, 1),
        (Way.GATEWAY, CREATE, 1),
    ],
)
def test_script_that_is_ended_leaves_nothing(
    bench: Bench, script: Program, way: Way, point: Point, created: int
) -> None:
    """Its sandbox is gone within seconds of its end, and a bystander's is not."""
    result = bench.run(Trial(program=script, way=way, point=point))
    assert result.passed, result
    assert result.request
    assert result.created == created


def test_osiris_run_that_is_killed_leaves_nothing(
    bench: Bench,
    osiris_target: OsirisTarget,
    harness_settings: Settings,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The product, which tags nothing and handles no signal, in the middle of its uploads."""
    folder: Path = tmp_path_factory.mktemp("osiris") / "run"
    program = osiris_program(osiris_target, harness_settings, folder)
    point = Point(number=12, moment=Moment.BEFORE)
    result = bench.run(Trial(program=program, way=Way.KILL, point=point))
    assert result.passed, result
    assert result.created == 1
