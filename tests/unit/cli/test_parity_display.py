"""A newcomer understands the first screen, and who wants to act finds the next command."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from harness.cli.parity_display import ProgressLines, _word, print_difference, print_parity
from harness.model.difference import Allowance, Difference
from harness.model.outcome import Outcome
from harness.model.run import Json
from harness.model.verdict import Check, Verdict
from harness.parity import CaseComparison, CaseRun, judge
from harness.parity.allowances import AllowanceFile, Cause
from harness.settings import Settings
from harness.workflow.parity_accept import find_difference

TODAY = date(2026, 6, 1)
CAUSE = Difference(
    id="aaaa111111",
    path="outcome",
    kind="value",
    local="succeeded",
    remote="failed: [bold]no table[/bold]\nLINE 1",
    pipelines=("chain",),
    step="join",
    component="duckdb.processor",
)
EFFECT = replace(CAUSE, id="bbbb222222", path="exit_code", explained_by=CAUSE.id, cause=1)
KNOWN = replace(CAUSE, id="cccc333333", path="status/ok", step=None, component=None, cause=2)
ALLOWANCE = Allowance(
    path="status/ok",
    kind="value",
    pipelines=("chain",),
    reason="never ok",
    link="",
    expires=TODAY,
    source="1.toml:5",
)
RUN = CaseRun(
    comparison=CaseComparison(
        pipeline="chain",
        local="succeeded",
        remote="failed",
        differences=(CAUSE, EFFECT, KNOWN),
    ),
    duration_s=2.5,
)


def verdict_of(*runs: CaseRun, interrupted: bool = False) -> Verdict:
    file = AllowanceFile(path=Path("f"), product="p", version="1", allowances=(ALLOWANCE,))
    findings = judge(runs, file, today=TODAY, library=["chain"])
    return Verdict(
        session="parity",
        endpoint="emulator",
        started_at=datetime(2026, 6, 1, tzinfo=UTC),
        duration_s=9.0,
        checks=findings.checks,
        interrupted=interrupted,
        details={
            "run_id": "r1",
            "target": {"name": "osiris", "version": "0.5.7"},
            **findings.to_json(command="harness parity run", today=TODAY),
        },
    )


def shown(capsys: pytest.CaptureFixture[str], verdict: Verdict, *, verbose: bool = False) -> str:
    print_parity(verdict, Settings(root=Path("/p")), verbose=verbose)
    return capsys.readouterr().out


def test_case_line_says_how_both_sides_ended(capsys: pytest.CaptureFixture[str]) -> None:
    """Name, here, sandbox, verdict, seconds and counts stand on one line."""
    line = next(
        line for line in shown(capsys, verdict_of(RUN)).splitlines() if line.startswith("chain")
    )
    assert line.split() == [
        *("chain", "succeeded", "failed", "failed", "2.5"),
        *("1", "open,", "1", "following,", "1", "accepted"),
    ]


def test_differences_show_both_values_and_the_step(capsys: pytest.CaptureFixture[str]) -> None:
    """The cause stands with both values as they are; what follows is counted."""
    text = shown(capsys, verdict_of(RUN))
    assert "aaaa111111  outcome  value" in text
    assert "step join (duckdb.processor)" in text
    assert "  here     succeeded" in text
    assert "  sandbox  failed: [bold]no table[/bold]" in text
    assert "1 more follow from it" in text
    assert "bbbb222222" not in text
    assert "harness parity run --case chain --no-allowances" in text
    assert "[[allowance]]" in text
    assert "osiris 0.5.7" in text
    assert "/p/testing_env/runs/r1" in text


def test_verbose_shows_what_follows_and_what_is_accepted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing is hidden from who asks."""
    text = shown(capsys, verdict_of(RUN), verbose=True)
    assert "bbbb222222" in text
    assert "cccc333333" in text
    assert "never ok (1.toml:5, until 2026-06-01)" in text


def test_differences_of_known_causes_come_after_the_news_by_cause(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What is new stands first and whole; what is known, under its cause, and how to accept it."""
    about = replace(
        ALLOWANCE, path="outcome", reason="the table is lost", link="why.md#a1", pipelines=()
    )
    file = AllowanceFile(
        path=Path("f"),
        product="p",
        version="1",
        causes=(Cause(about=about, of_failures=False),),
    )
    findings = judge([RUN], file, today=TODAY, library=["chain"])
    details = findings.to_json(command="harness parity run", today=TODAY)
    verdict = verdict_of(RUN)
    out = shown(capsys, replace(verdict, details={**verdict.details, **details}))
    places = [
        out.index(told)
        for told in (
            "1 new difference",
            "cccc333333",
            "1 difference of known causes",
            "why.md#a1",
            "the table is lost",
            "aaaa111111 outcome  value  1x in chain, 1 more follow from it",
            "parity accept --known",
            "2 open, 0 accepted",
        )
    ]
    assert places == sorted(places)


def test_broken_and_stale_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A broken case says why, and so does an allowance that is wrong."""
    broken = replace(
        RUN,
        comparison=CaseComparison(pipeline="chain", local="-", remote="-", broken="no [x] answer"),
    )
    text = shown(capsys, verdict_of(broken, interrupted=True))
    assert "broken chain: no [x] answer" in text
    assert "not compared" in text
    assert "interrupted" in text
    healed = replace(RUN, comparison=replace(RUN.comparison, differences=()))
    text = shown(capsys, verdict_of(healed))
    assert "allowance 1.toml:5 (status/ok): matches nothing any more" in text


def test_one_difference_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """`show ID`: every line of the values, what follows, how to accept it and see it alone."""
    found, everything = find_difference(verdict_of(RUN), "aaaa")
    print_difference(found, everything)
    text = capsys.readouterr().out
    assert "LINE 1" in text
    assert "follows: exit_code (value)" in text
    assert "parity accept aaaa111111" in text
    assert 'remote = "failed: [[]bold]no table[[]/bold]\\nLINE 1"' in text
    accepted, _ = find_difference(verdict_of(RUN), "cccc")
    print_difference(accepted, everything)
    assert "accepted by 1.toml:5" in capsys.readouterr().out


def test_progress_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output is for the result alone."""
    progress = ProgressLines()
    progress.began("osiris")
    progress.finished(RUN, Check(name="chain", outcome=Outcome.FAILED), done=1, total=2)
    seen = capsys.readouterr()
    assert seen.out == ""
    assert "[1/2]" in seen.err
    assert "chain: here succeeded, sandbox failed" in seen.err


@pytest.mark.parametrize(
    ("outcome", "known", "word"),
    [
        (Outcome.PASSED, False, "passed"),
        (Outcome.PASSED, True, "known"),
        (Outcome.FAILED, True, "failed"),
        (Outcome.BROKEN, True, "broken"),
    ],
)
def test_pass_that_rests_on_allowances_is_known(outcome: Outcome, known: bool, word: str) -> None:  # noqa: FBT001 - parametrized
    """Only a pass without any difference is called one; nothing else is softened."""
    assert _word(outcome, known=known).plain == word


def test_print_parity_long_name_and_many_differences_are_not_cut(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What is not a terminal is 80 columns wide, and a name that is cut cannot be pasted."""
    name = "a-pipeline-with-a-name-of-more-than-sixty-characters-that-says-what-it-is-for"
    case: dict[str, Json] = {
        "name": name,
        "outcome": "failed",
        "local": "succeeded",
        "e2b": "timed out",
        "open": 1000,
        "following": 2000,
        "differences": 4000,
        "duration_s": 1.0,
    }
    verdict = Verdict(
        session="parity",
        endpoint="emulator",
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        duration_s=1.0,
        checks=(),
        details={"cases": [case]},
    )
    print_parity(verdict, Settings(root=Path("/p")))
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("a-"))
    assert name in line
    assert line.rstrip().endswith("1000 open, 2000 following, 1000 accepted")
