"""The shards' verdicts merged are the verdict of one run; what does not fit is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from parity_target import DATA, Answers, TableTarget, case, failing_reach, reach

from harness.clock import ManualClock
from harness.errors import BrokenError, UsageError
from harness.model.outcome import Outcome
from harness.model.run import Json
from harness.model.side import Side
from harness.model.verdict import Verdict
from harness.settings import Settings
from harness.workflow.parity import ParityOptions, run_parity
from harness.workflow.parity_merge import merge_shards
from harness.workflow.parity_shards import Shard

NAMES = ("a", "b", "c", "d", "lost")
ALLOWANCES = """
schema = 1
product = "osiris-pipeline"
version = "1"
[[allowance]]
path = "files/output/o.csv/rows"
pipelines = ["lost"]
reason = "known"
expires = 2027-01-01
[[allowance]]
path = "outcome"
reason = "gone"
expires = 2027-01-01
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path)


def run(settings: Settings, shard: str | None = None, **changes: Any) -> Verdict:
    lost = DATA.replace("2,b\n", "")
    answers = Answers(data={("lost", Side.E2B): lost})
    target = TableTarget(*map(case, NAMES), answers=answers, root=settings.root)
    target.version = changes.pop("version", "1")
    open_far_end = changes.pop("reach", reach)
    plain = ParityOptions(
        cases=target.cases(),
        library=target.cases(),
        shard=Shard.parse(shard) if shard else None,
    )
    options = replace(plain, **changes)
    return run_parity(settings, target, options, clock=ManualClock(), reach=open_far_end)


def outcomes(verdict: Verdict) -> dict[str, Outcome]:
    return {check.name: check.outcome for check in verdict.checks}


def comparable(verdict: Verdict) -> dict[str, Json]:
    """Its details without what is of one run or one machine."""
    left_out = {"run_id", "merged", "cases"}
    return {name: value for name, value in verdict.details.items() if name not in left_out}


@pytest.mark.parametrize("accept", [True, False])
def test_merged_shards_are_the_verdict_of_the_whole_run(
    settings: Settings, tmp_path: Path, *, accept: bool
) -> None:
    """Differences, allowances that nothing matches any more, order: all as in one run."""
    file = tmp_path / "allowances" / "1.toml"
    file.parent.mkdir()
    file.write_text(ALLOWANCES)
    whole = run(settings, accept=accept)
    for number in (2, 3, 1):
        run(settings, f"{number}/3", accept=accept)
    merged = merge_shards(settings, ())
    assert merged.session == "parity"
    assert outcomes(merged) == outcomes(whole)
    assert comparable(merged) == comparable(whole)
    assert merged.outcome is Outcome.FAILED
    written = json.loads((settings.reports / "parity" / "verdict.json").read_text())
    assert written["details"]["merged"] == merged.details["merged"]


def test_shard_judges_no_allowance_of_a_case_that_another_runs(
    settings: Settings, tmp_path: Path
) -> None:
    """A shard that has not the case cannot say that its divergence is gone."""
    (tmp_path / "allowances").mkdir()
    (tmp_path / "allowances" / "1.toml").write_text(ALLOWANCES)
    verdicts = [run(settings, f"{number}/5") for number in range(1, 6)]
    assert [verdict.outcome for verdict in verdicts] == [Outcome.PASSED] * 5


def test_shards_write_no_durations_so_that_the_next_splits_alike(settings: Settings) -> None:
    """On one machine, one after the other, the second shard still knows its own cases."""
    run(settings, "1/2")
    assert not (settings.testing_env / "parity-durations.json").exists()
    run(settings)
    recorded = json.loads((settings.testing_env / "parity-durations.json").read_text())
    assert sorted(recorded) == sorted(NAMES)


def test_shards_come_from_other_machines(settings: Settings, tmp_path: Path) -> None:
    """Files and folders are taken wherever they lie; the allowances come along."""
    paths = []
    for number in (1, 2):
        other = Settings(root=tmp_path / f"machine-{number}")
        run(other, f"{number}/2")
        paths.append(other.reports / f"parity-{number}-of-2")
    merged = merge_shards(settings, [paths[0], paths[1] / "verdict.json"])
    assert set(outcomes(merged)) == set(NAMES)


def test_shard_that_never_had_a_far_end_makes_the_whole_broken(settings: Settings) -> None:
    """What a shard could not run is no pass of the whole."""
    gone = BrokenError("gone", expected="an endpoint", next_step="look")
    run(settings, "1/2")
    run(settings, "2/2", reach=failing_reach(gone))
    merged = merge_shards(settings, ())
    assert merged.outcome is Outcome.BROKEN
    assert "shard 2/2: endpoint" in outcomes(merged)


def test_case_that_an_interrupted_shard_did_not_run_is_broken(settings: Settings) -> None:
    """It is named, with its shard."""
    run(settings, "1/2")
    path = settings.reports / run(settings, "2/2").session / "verdict.json"
    document = json.loads(path.read_text())
    lost = document["details"]["shard"]["runs"].pop()["comparison"]["pipeline"]
    path.write_text(json.dumps(document))
    merged = merge_shards(settings, ())
    assert [check.reason for check in merged.checks if check.name == lost] == [
        "shard 2/2 ended before this case"
    ]


def change(name: str, value: Json) -> Callable[[dict[str, Any]], None]:
    def apply(document: dict[str, Any]) -> None:
        document["details"]["shard"][name] = value

    return apply


def edit(settings: Settings, shard: str, apply: Callable[[dict[str, Any]], None]) -> None:
    path = settings.reports / Shard.parse(shard).session / "verdict.json"
    document = json.loads(path.read_text())
    apply(document)
    path.write_text(json.dumps(document))


def test_missing_shards_are_named(settings: Settings) -> None:
    """Which ones, and how to run the first of them."""
    run(settings, "2/4")
    with pytest.raises(UsageError, match="missing: 1/4, 3/4, 4/4") as caught:
        merge_shards(settings, ())
    assert caught.value.next_step == "harness parity run --shard 1/4"


def test_shard_that_is_there_twice_is_named(settings: Settings) -> None:
    """The same shard from two places cannot both count."""
    run(settings, "1/2")
    run(settings, "2/2")
    again = settings.reports / "parity-2-of-2"
    with pytest.raises(UsageError, match="there twice: 2/2"):
        merge_shards(settings, [settings.reports / "parity-1-of-2", again, again])


def test_shards_of_different_versions_are_refused(settings: Settings) -> None:
    """Both versions are named, each with its shard and file."""
    run(settings, "1/2")
    run(settings, "2/2", version="2")
    with pytest.raises(
        UsageError, match=r"different versions: 1/2 .* is of table 1, 2/2 .* is of table 2"
    ):
        merge_shards(settings, ())


@pytest.mark.parametrize(
    ("what", "apply"),
    [
        ("cases", change("selection", ["a"])),
        ("libraries", change("library", ["a"])),
        ("allowances", change("allowances", "schema = 1")),
        ("numbers of shards", change("total", 3)),
        ("far ends", lambda document: document.update(endpoint="live")),
    ],
)
def test_shards_of_different_runs_are_refused(
    settings: Settings, what: str, apply: Callable[[dict[str, Any]], None]
) -> None:
    """Whatever they do not have in common is named."""
    run(settings, "1/2")
    run(settings, "2/2")
    edit(settings, "2/2", apply)
    with pytest.raises(UsageError, match=f"shards of different {what}"):
        merge_shards(settings, ())


def test_shards_that_were_split_differently_are_refused(settings: Settings) -> None:
    """A case that two of them ran, or none, is named with the cure."""
    first = run(settings, "1/2")
    run(settings, "2/2")
    shard = first.details["shard"]
    assert isinstance(shard, dict)
    edit(settings, "2/2", change("cases", shard["cases"]))
    with pytest.raises(UsageError, match=r"split differently: a in 1/2 and 2/2") as caught:
        merge_shards(settings, ())
    assert "--durations" in caught.value.next_step


def test_verdict_that_is_of_no_shard_is_refused(settings: Settings) -> None:
    """A whole run, and a folder without a verdict, are no shards."""
    run(settings)
    with pytest.raises(UsageError, match="is not the verdict of a shard: it is of a whole run"):
        merge_shards(settings, [settings.reports / "parity"])
    with pytest.raises(UsageError, match="no verdict of a shard"):
        merge_shards(Settings(root=settings.root / "empty"), ())
    with pytest.raises(BrokenError, match="is not a verdict"):
        merge_shards(settings, [settings.root / "nowhere"])
