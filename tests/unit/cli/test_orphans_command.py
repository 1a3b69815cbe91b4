"""`harness orphans …` as a person and a script meet it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from e2b_stand_in import KEY, StandIn, refusal, serve

from harness.model.outcome import Outcome
from harness.model.sandbox import OwnershipTags
from harness.reports.junit import checks_of

HOUR = 3600.0


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    with serve() as running:
        yield running


@pytest.fixture
def service(stand_in: StandIn) -> StandIn:
    stand_in.reset()
    for name, age_s in (("iold", 3 * HOUR), ("iyoung", HOUR)):
        started_at = stand_in.clock.now() - timedelta(seconds=age_s)
        tags = OwnershipTags(
            run_id="run-1",
            owner="ann@host:1",
            created_at=started_at,
            expires_at=started_at + timedelta(hours=24),
            nonce=name,
        )
        metadata = tags.signed(KEY).to_metadata()
        stand_in.plant(name, age_s=age_s, timeout_s=24 * HOUR, metadata=metadata)
    stand_in.plant("itheirs", age_s=30 * HOUR, metadata={"job": "7"})
    return stand_in


def harness(
    *words: str, cwd: Path, service: StandIn | None, **env: str
) -> subprocess.CompletedProcess[str]:
    environ = {name: text for name, text in os.environ.items() if not name.startswith("E2B_")}
    if service is not None:
        environ |= {"E2B_API_KEY": KEY, "E2B_API_URL": service.url}
    return subprocess.run(
        [sys.executable, "-m", "harness", "orphans", *words],
        cwd=cwd,
        env={**environ, **env},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("words", [["list"], ["sweep"]])
def test_dry_run_shows_the_orphan_and_ends_with_5(
    service: StandIn, tmp_path: Path, words: list[str]
) -> None:
    """The table is on stdout, the far end on stderr, and nothing was ended."""
    ended = harness(*words, cwd=tmp_path, service=service)
    assert ended.returncode == 5
    assert "iold" in ended.stdout
    assert service.url in ended.stderr
    assert len(service.sandboxes) == 3


def test_force_ends_the_orphan_and_ends_with_0(service: StandIn, tmp_path: Path) -> None:
    """A second look is clean."""
    assert harness("sweep", "--force", cwd=tmp_path, service=service).returncode == 0
    assert set(service.sandboxes) == {"iyoung", "itheirs"}
    assert harness("list", cwd=tmp_path, service=service).returncode == 0


def test_force_that_leaves_one_names_it_in_three_lines(service: StandIn, tmp_path: Path) -> None:
    """A kill that was not carried out is a leak, in the table, in JUnit and on stderr."""
    service.immortal.add("iold")
    junit = tmp_path / "junit.xml"
    ended = harness("sweep", "--force", "--junit", str(junit), cwd=tmp_path, service=service)
    assert ended.returncode == 5
    assert "iold" in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("next: ")
    failed = [check.name for check in checks_of(junit.read_bytes()) if check.reason]
    assert failed == ["orphans-sweep::sandbox iold"]


def test_json_is_the_whole_stdout(service: StandIn, tmp_path: Path) -> None:
    """A script reads ids, reasons and counts."""
    ended = harness("sweep", "--json", cwd=tmp_path, service=service)
    document = json.loads(ended.stdout)
    assert (document["orphans"], document["exit_code"]) == (["iold"], 5)
    assert {row["sandbox_id"]: row["ruling"] for row in document["sandboxes"]} == {
        "iold": "due",
        "iyoung": "kept",
        "itheirs": "not ours",
    }


def test_without_a_key_it_does_not_run(tmp_path: Path) -> None:
    """Exit code 3, with the words that users know."""
    ended = harness("sweep", cwd=tmp_path, service=None)
    assert ended.returncode == 3
    assert ended.stderr.startswith("E2B_API_KEY not set")


def test_wrong_key_is_a_usage_error_that_does_not_show_it(service: StandIn, tmp_path: Path) -> None:
    """Exit code 2; the key is nowhere in the output."""
    wrong = "e2b_" + "9" * 40
    ended = harness("list", cwd=tmp_path, service=service, E2B_API_KEY=wrong)
    assert ended.returncode == 2
    assert "refused the key" in ended.stderr
    assert wrong not in ended.stdout + ended.stderr


def test_debug_mode_stops_everything(service: StandIn, tmp_path: Path) -> None:
    """Not one request is sent."""
    ended = harness("sweep", "--force", cwd=tmp_path, service=service, E2B_DEBUG="true")
    assert ended.returncode == 2
    assert service.requests == []


@pytest.mark.parametrize(
    "words",
    [
        ["--include-foreign"],
        ["--older-than", "1h"],
        ["--include-paused"],
        ["--include-foreign", "--metadata", "job"],
        ["--include-foreign", "--metadata", "=7"],
        ["--include-foreign", "--older-than", "yesterday"],
        ["--max-age-hours", "-1"],
        ["--live"],
    ],
)
def test_words_that_do_not_fit_end_nothing(
    service: StandIn, tmp_path: Path, words: list[str]
) -> None:
    """Exit code 2, three lines, and no kill."""
    ended = harness("sweep", "--force", *words, cwd=tmp_path, service=service)
    assert ended.returncode == 2, ended.stderr
    assert len(ended.stderr.splitlines()) >= 3
    assert len(service.sandboxes) == 3


def test_foreign_needs_a_person_or_yes(service: StandIn, tmp_path: Path) -> None:
    """A script that does not say --yes ends nothing; one that does ends what it named."""
    words = ("sweep", "--force", "--include-foreign", "--metadata", "job=7", "--older-than", "1d")
    refused = harness(*words, cwd=tmp_path, service=service)
    assert refused.returncode == 2
    assert "1 sandboxes that are not ours" in refused.stderr
    assert len(service.sandboxes) == 3
    assert harness(*words, "--yes", cwd=tmp_path, service=service).returncode == 0
    assert set(service.sandboxes) == {"iyoung"}


def test_service_that_limits_and_fails_changes_nothing(service: StandIn, tmp_path: Path) -> None:
    """429 with Retry-After, 500 and 409 in the way: the same result."""
    service.fail("GET /v2/sandboxes", refusal(429, retry_after="1"), refusal(500))
    service.fail("DELETE /sandboxes/iold", refusal(409))
    assert harness("sweep", "--force", cwd=tmp_path, service=service).returncode == 0
    assert "iold" not in service.sandboxes


@pytest.mark.parametrize(
    ("words", "order", "outcome"),
    [
        (("list",), "GET /v2/sandboxes", Outcome.BROKEN),
        (("sweep", "--force"), "GET /v2/sandboxes", Outcome.BROKEN),
        (("sweep", "--force", "--max-kill", "0"), "", Outcome.FAILED),
    ],
)
def test_sweep_that_is_stopped_says_so_in_its_junit_report(
    service: StandIn, tmp_path: Path, words: tuple[str, ...], order: str, outcome: Outcome
) -> None:
    """A report that is missing would look like a sweep that did not run."""
    if order:
        service.fail(order, refusal(401))
    stopped = harness(*words, "--junit", "sweep.xml", cwd=tmp_path, service=service)
    assert stopped.returncode in {2, 5}, stopped.stderr
    (check,) = checks_of((tmp_path / "sweep.xml").read_bytes())
    assert check.outcome is outcome
    assert len(service.sandboxes) == 3


def _interrupted(
    service: StandIn, cwd: Path, *words: str, reached: str
) -> subprocess.CompletedProcess[str]:
    """Runs a sweep to its end with one Ctrl-C, sent when the service has seen a request."""
    environ = {name: text for name, text in os.environ.items() if not name.startswith("E2B_")}
    with subprocess.Popen(
        [sys.executable, "-m", "harness", "orphans", "sweep", *words],
        cwd=cwd,
        env={**environ, "E2B_API_KEY": KEY, "E2B_API_URL": service.url},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as sweep:
        while sweep.poll() is None and not service.counts()[reached]:
            os.sched_yield()
        sweep.send_signal(signal.SIGINT)
        stdout, stderr = sweep.communicate(timeout=30)
    return subprocess.CompletedProcess(words, sweep.returncode, stdout, stderr)


def test_interrupted_sweep_reports_what_it_had_done(service: StandIn, tmp_path: Path) -> None:
    """130, and the table, JSON and JUnit name what is ended and what is left."""
    record = service.sandboxes["iold"]
    tags = OwnershipTags.from_metadata(record.metadata)
    assert tags is not None
    other = replace(tags, nonce="iolder", run_id="run-2").signed(KEY).to_metadata()
    service.plant("iolder", age_s=3 * HOUR + 1, timeout_s=24 * HOUR, metadata=other)
    service.fail("DELETE /sandboxes/iolder", refusal(429, retry_after="30"))
    words = ("--force", "--json", "--junit", "sweep.xml", "--concurrency", "1")
    ended = _interrupted(service, tmp_path, *words, reached="DELETE /sandboxes/iolder")
    assert ended.returncode == 130, ended.stderr
    document = json.loads(ended.stdout)
    assert (document["interrupted"], document["exit_code"]) == (True, 130)
    assert (document["orphans"], document["left"]) == (["iold"], ["iolder"])
    checks = checks_of((tmp_path / "sweep.xml").read_bytes())
    assert [check.outcome for check in checks] == [
        Outcome.BROKEN,
        Outcome.PASSED,
        Outcome.FAILED,
    ]


def test_sweep_interrupted_while_it_lists_says_that_nothing_was_ended(
    service: StandIn, tmp_path: Path
) -> None:
    """Before anything was judged there is no table, but a JUnit report there is."""
    service.fail("GET /v2/sandboxes", refusal(429, retry_after="30"))
    words = ("--force", "--junit", "sweep.xml")
    ended = _interrupted(service, tmp_path, *words, reached="GET /v2/sandboxes")
    assert ended.returncode == 130, ended.stderr
    (check,) = checks_of((tmp_path / "sweep.xml").read_bytes())
    assert (check.outcome, check.reason) == (
        Outcome.BROKEN,
        "interrupted before anything was ended",
    )
    assert len(service.sandboxes) == 3
