"""Cases on workers: the same verdict, and a worker that dies loses its case and no other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from parity_target import reach
from portable_target import portable

from harness.errors import BrokenError, ExitCode
from harness.model.outcome import Outcome
from harness.model.side import Side
from harness.model.verdict import Check, Verdict
from harness.parity import CaseRun
from harness.settings import Settings
from harness.workflow.parity import ParityOptions, Watcher, run_parity


class Seen(Watcher):
    def __init__(self) -> None:
        self.names: list[str] = []

    def finished(self, run: CaseRun, check: Check, *, done: int, total: int) -> None:
        del check, done, total
        self.names.append(run.comparison.pipeline)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path)


def run(settings: Settings, *names: str, workers: int = 2, calibrate: int = 1) -> Verdict:
    target = portable(*names, root=settings.root)
    options = ParityOptions(
        cases=target.cases(), library=target.cases(), workers=workers, calibrate=calibrate
    )
    return run_parity(settings, target, options, reach=reach)


def outcomes(verdict: Verdict) -> dict[str, Outcome]:
    return {check.name: check.outcome for check in verdict.checks}


def test_workers_come_to_the_verdict_of_one_process(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """Differences, order and reasons are the same; pytest and xdist are not heard."""
    names = ("a", "broken", "lost-row", "z")
    alone, together = run(settings, *names, workers=0), run(settings, *names)
    assert outcomes(together) == outcomes(alone)
    assert [check.name for check in together.checks] == list(names)
    assert together.details["differences"] == alone.details["differences"]
    assert capsys.readouterr() == ("", "")


def test_what_the_environment_tells_pytest_is_not_for_the_workers(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options for somebody's own tests neither break the run nor are lost."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option")
    assert outcomes(run(settings, "a", "b")) == {"a": Outcome.PASSED, "b": Outcome.PASSED}
    assert os.environ["PYTEST_ADDOPTS"] == "--no-such-option"


def test_worker_that_dies_loses_its_case_and_no_other(settings: Settings) -> None:
    """The lost case is broken, with the worker's name; another worker takes over."""
    verdict = run(settings, "a", "b", "dies", "lost-row", "y", "z")
    assert outcomes(verdict) == {
        "a": Outcome.PASSED,
        "b": Outcome.PASSED,
        "dies": Outcome.BROKEN,
        "lost-row": Outcome.FAILED,
        "y": Outcome.PASSED,
        "z": Outcome.PASSED,
    }
    (lost,) = [check for check in verdict.checks if check.name == "dies"]
    assert lost.reason.startswith("the case was lost: worker 'gw")
    assert verdict.exit_code is ExitCode.BROKEN


def test_worker_measures_the_noise_of_the_remote_side(settings: Settings) -> None:
    """What a person asks for reaches the workers."""
    run(settings, "a", "b", calibrate=2)
    folder = next((settings.testing_env / "runs").iterdir())
    assert sorted(path.name for path in (folder / "a").iterdir()) == [
        *("e2b", "e2b-2", "local-1", "local-2")
    ]


def test_disk_that_takes_no_more_ends_the_run_from_a_worker(settings: Settings) -> None:
    """No case can be run then: it is told at once, as without workers."""
    with pytest.raises(BrokenError, match="/full: No space left on device"):
        run(settings, "no-room", "a")


def test_target_that_no_other_process_can_have_is_told(settings: Settings) -> None:
    """A target that pickle refuses is named, and how it can be run."""
    target = portable("a", "b", root=settings.root)
    seen: list[tuple[str, Side]] = []
    target.answers.on_execute = lambda name, side: seen.append((name, side))
    options = ParityOptions(cases=target.cases(), library=target.cases(), workers=2)
    with pytest.raises(BrokenError, match="cannot be handed to a worker"):
        run_parity(settings, target, options, reach=reach)


PROGRAM = """
import pathlib, sys
sys.path[:0] = sys.argv[2:]
from harness.settings import Settings
from harness.workflow.parity import ParityOptions, run_parity
from parity_target import reach
from portable_target import portable

if __name__ == "__main__":
    settings = Settings(root=pathlib.Path(sys.argv[1]))
    target = portable("a", "interrupts", "y", "z", root=settings.root)
    options = ParityOptions(cases=target.cases(), library=target.cases(), workers=1)
    verdict = run_parity(settings, target, options, reach=reach)
    print([(check.name, str(check.outcome)) for check in verdict.checks], verdict.interrupted)
"""


def test_interrupted_run_on_workers_keeps_what_was_compared(tmp_path: Path) -> None:
    """Ctrl-C while the second case runs: the first has its verdict, and no worker is left."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    support = str(Path(__file__).parents[2] / "support")
    told = subprocess.run(
        [sys.executable, str(program), str(tmp_path), support],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "('a', 'passed')" in told.stdout, told.stderr
    assert "('z', 'broken')" in told.stdout
    assert told.stdout.strip().endswith("True")
