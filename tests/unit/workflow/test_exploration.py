"""An exploration finds each divergence once, makes it small, and keeps it whatever happens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from drawn_target import DrawnTarget, Words
from parity_target import ENDPOINT, Answers, TableTarget, case, failing_reach, reach

from harness.clock import ManualClock
from harness.errors import BrokenError, ExitCode, LeakError, UsageError
from harness.model.outcome import Outcome
from harness.model.side import Endpoint, Side
from harness.model.verdict import Verdict
from harness.ports import Target
from harness.settings import Settings
from harness.workflow.exploration import ExplorationOptions, run_exploration
from harness.workflow.parity_endpoint import FarEnd
from harness.workflow.run_folders import KEPT_RUNS

LONG = Words(("plain", "loud", "other", "lost", "more"))
QUIET = Words(("plain", "other"))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path)


def explore(
    settings: Settings, *pipelines: Words, answers: Answers | None = None, **changes: Any
) -> tuple[Verdict, DrawnTarget]:
    target = DrawnTarget(answers=answers, root=settings.root)
    target.pipelines = pipelines
    open_far_end = changes.pop("reach", reach)
    plain = ExplorationOptions(examples=len(pipelines), seed=0, product="table", jobs=1)
    options = replace(plain, **changes)
    verdict = run_exploration(settings, target, options, clock=ManualClock(), reach=open_far_end)
    return verdict, target


def finds(verdict: Verdict) -> list[dict[str, Any]]:
    found = verdict.details["finds"]
    assert isinstance(found, list)
    return [item for item in found if isinstance(item, dict)]


def kept(settings: Settings, seed: int = 0) -> dict[str, str]:
    folder = settings.testing_env / "explored" / f"seed-{seed}"
    return {path.name: path.read_text() for path in folder.glob("*")}


def pipeline_of(text: str) -> str:
    return text.splitlines()[-1]


@pytest.mark.parametrize("jobs", [1, 3])
def test_each_divergence_is_found_once_and_made_small(settings: Settings, jobs: int) -> None:
    """Two faults in three pipelines are two finds, each alone in a pipeline of one word."""
    verdict, _ = explore(settings, QUIET, LONG, Words(("x", "lost", "loud")), jobs=jobs)
    assert next(item["path"] for item in finds(verdict)) == "events/step_start"
    files = {Path(item["file"]).name for item in finds(verdict)}
    texts = kept(settings)
    assert files == set(texts)
    assert {pipeline_of(text) for text in texts.values()} == {"loud", "lost"}
    assert all(item["smallest"] and item["confirmed"] for item in finds(verdict))
    assert {item["seen_in"] for item in finds(verdict)} == {2}
    assert (verdict.outcome, verdict.exit_code) == (Outcome.FAILED, ExitCode.FAILED)


def test_find_says_where_it_was_and_how_far_it_shrank(settings: Settings) -> None:
    """Example, sizes before and after, and both values are in the verdict and in the file."""
    verdict, _ = explore(settings, QUIET, LONG)
    (item,) = [item for item in finds(verdict) if item["path"].startswith("stdout")]
    assert (item["example"], item["before"]["steps"], item["after"]["steps"]) == (2, 5, 1)
    (text,) = [text for text in kept(settings).values() if pipeline_of(text) == "loud"]
    assert "example 2: 5 steps, 22 bytes -> 1 steps, 4 bytes" in text
    assert "sandbox: 1: noise" in text


def test_divergence_that_a_louder_one_hid_is_found_while_shrinking(settings: Settings) -> None:
    """Without the louder one, a smaller pipeline shows it: a find of its own, made small, too."""
    verdict, _ = explore(settings, Words(("failing", "hidden", "plain")))
    outcomes = {item["remote"]: item for item in finds(verdict) if item["path"] == "outcome"}
    loud, quiet = outcomes["failed: it fails there"], outcomes["failed: another reason"]
    assert (loud["seen_in"], quiet["seen_in"], quiet["example"]) == (1, 0, 1)
    assert {pipeline_of(text) for text in kept(settings).values()} == {"hidden", "failing"}


def test_exploration_without_divergence_passes(settings: Settings) -> None:
    """Nothing found is a pass, and no file."""
    verdict, _ = explore(settings, QUIET, Words(("more",)))
    assert (verdict.outcome, finds(verdict), kept(settings)) == (Outcome.PASSED, [], {})
    written = settings.reports / "parity-exploration" / "verdict.json"
    assert json.loads(written.read_text())["details"]["compared"] == 2


def test_no_pipeline_runs_twice(settings: Settings) -> None:
    """What was tried for one find costs nothing for the next."""
    verdict, target = explore(settings, LONG)
    locally = [adapter for adapter in target.adapters if adapter.side is Side.LOCAL]
    confirmed = 2 * len(kept(settings))
    assert len(locally) == verdict.details["pipelines_run"] + confirmed  # type: ignore[operator]
    assert all(adapter.closed for adapter in target.adapters)


def test_noise_of_the_local_side_is_no_find_that_fails(settings: Settings) -> None:
    """What two local runs disagree on is told as noise: no false alarm."""
    verdict, _ = explore(settings, Words(("shaky",)))
    assert [item["confirmed"] for item in finds(verdict)] == [False]
    assert verdict.outcome is Outcome.PASSED


def test_shrinking_that_may_run_no_more_says_so(settings: Settings) -> None:
    """A limit of attempts keeps the smallest pipeline known, and does not call it minimal."""
    verdict, _ = explore(settings, LONG, most_runs=0)
    assert {item["smallest"] for item in finds(verdict)} == {False}
    assert {pipeline_of(text) for text in kept(settings).values()} == {" ".join(LONG.words)}


def test_known_divergence_is_named_with_its_cause_and_passes(settings: Settings) -> None:
    """An allowance of the library knows a find, whatever the pipelines are called."""
    file = settings.root / "known.toml"
    file.write_text(
        'schema = 1\nproduct = "table"\nversion = "1"\n[[allowance]]\npath = "stdout/lines"\n'
        'pipelines = ["elsewhere"]\nreason = "it is loud"\nexpires = 2027-01-01\n'
    )
    loud = Words(("loud",))
    verdict, _ = explore(settings, loud, allowances=file)
    assert [item["known"]["reason"] for item in finds(verdict)] == ["it is loud"]
    assert verdict.outcome is Outcome.PASSED
    assert "cause: it is loud" in next(iter(kept(settings).values()))
    verdict, _ = explore(settings, loud, allowances=file, accept=False)
    assert verdict.outcome is Outcome.FAILED


def test_interrupted_exploration_keeps_what_it_has_found(settings: Settings) -> None:
    """Ctrl-C in the third pipeline: the finds of the first two are files, exit code 130."""
    runs = iter(range(100))

    def interrupt(name: str, side: Side) -> None:
        del name
        if side is Side.E2B and next(runs) == 2:
            raise KeyboardInterrupt

    third = Words(("failing", "third"))
    verdict, target = explore(
        settings, LONG, Words(("loud", "x")), third, answers=Answers(on_execute=interrupt)
    )
    assert (verdict.interrupted, verdict.exit_code) == (True, ExitCode.INTERRUPTED)
    assert verdict.details["compared"] == 2
    assert [item["path"] for item in finds(verdict)] == [
        "events/step_start",
        "events/step_complete",
        "stdout/lines",
    ]
    assert len(kept(settings)) == 1
    assert all(adapter.closed for adapter in target.adapters)


def test_exploration_interrupted_in_its_last_runs_keeps_everything(settings: Settings) -> None:
    """The smallest pipelines are known by then; which of them was noise is not."""

    def interrupt(name: str, side: Side) -> None:
        if side is Side.E2B and name.startswith("explored-"):
            raise KeyboardInterrupt

    verdict, target = explore(settings, LONG, answers=Answers(on_execute=interrupt))
    assert verdict.exit_code == ExitCode.INTERRUPTED
    assert {item["confirmed"] for item in finds(verdict)} == {None}
    assert {pipeline_of(text) for text in kept(settings).values()} == {"loud", "lost"}
    assert all(adapter.closed for adapter in target.adapters)


def test_pipeline_that_says_nothing_is_broken_and_no_pass(settings: Settings) -> None:
    """A side that cannot be run is told with the number of its example."""
    trouble = BrokenError("no answer", expected="an answer", next_step="look")
    answers = Answers(errors={("try-00002", Side.E2B): trouble})
    verdict, _ = explore(settings, QUIET, Words(("more",)), answers=answers)
    assert [(c.name, c.outcome) for c in verdict.checks] == [("example 2", Outcome.BROKEN)]


def test_dead_far_end_is_broken(settings: Settings) -> None:
    """Nothing compared is never a pass."""
    gone = BrokenError("gone", expected="an endpoint", next_step="look")
    verdict, _ = explore(settings, QUIET, reach=failing_reach(gone))
    assert verdict.outcome is Outcome.BROKEN


def test_sandbox_that_could_not_be_ended_is_a_leak(settings: Settings) -> None:
    """The end of the far end counts, after everything else went well."""
    leak = LeakError("one is left", expected="none", next_step="sweep")
    verdict, _ = explore(settings, LONG, reach=failing_reach(leak, at_end=True))
    assert verdict.exit_code is ExitCode.LEAK
    assert kept(settings)


def test_live_without_a_key_is_not_run(settings: Settings) -> None:
    """Asked for live, and no key: NOT_RUN with the reason, and nothing is drawn."""
    verdict, target = explore(settings, QUIET, far_end=FarEnd.LIVE)
    assert verdict.outcome is Outcome.NOT_RUN
    assert target.adapters == []


def test_target_that_draws_nothing_is_refused(settings: Settings) -> None:
    """A target without pipelines of its own is the caller's mistake."""
    target = TableTarget(case("a"), root=settings.root)
    with pytest.raises(UsageError, match="draws no pipelines"):
        run_exploration(settings, target, ExplorationOptions(examples=1, seed=0), reach=reach)


def test_far_end_is_open_for_all_of_it(settings: Settings) -> None:
    """The last runs, too, happen before the far end is closed."""
    seen: list[str] = []

    @contextmanager
    def opened(kind: FarEnd, target: Target, settings: Settings) -> Iterator[Endpoint]:
        del kind, target, settings
        yield ENDPOINT
        seen.extend(kept_names())

    def kept_names() -> list[str]:
        return [pipeline_of(text) for text in kept(settings).values()]

    explore(settings, LONG, reach=opened)
    assert set(seen) == {"loud", "lost"}


def test_folders_of_earlier_explorations_make_room(settings: Settings) -> None:
    """The last few stay, with this one; what is no exploration's is not touched."""
    runs = settings.testing_env / "runs"
    for number in range(10):
        (runs / f"explore-2020010{number}T000000Z-aaaaaa").mkdir(parents=True)
    (runs / "parity-20200101T000000Z-aaaaaa").mkdir()
    verdict, _ = explore(settings, LONG)
    left = sorted(path.name for path in runs.iterdir())
    assert verdict.details["run_id"] in left
    assert len(left) == KEPT_RUNS + 2
    assert "parity-20200101T000000Z-aaaaaa" in left
    assert "explore-20200109T000000Z-aaaaaa" in left
