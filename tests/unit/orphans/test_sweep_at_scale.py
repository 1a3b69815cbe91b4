"""The sweep among thousands of look-alikes, in fair weather and in bad.

The real emulator, its real routes and faults; only that nothing runs in its sandboxes.
"""

from __future__ import annotations

import pytest
from hollow_emulator import Hollow, hollow_emulator

from harness.emulator.attach import admin
from harness.errors import ExitCode, HarnessError
from harness.orphans import Fate, Limits, Sweeper, SweepReport
from harness.sdk import ApiEndpoint, ApiSandboxDirectory
from harness.sdk.requests import ApiRequests, Patience

IMPATIENT = Patience(attempts=8, first_pause_s=0.01, longest_pause_s=0.05, timeout_s=30.0)


def sweep(hollow: Hollow) -> SweepReport:
    endpoint = ApiEndpoint.from_env(hollow.endpoint.env)
    requests = ApiRequests(endpoint, patience=IMPATIENT)
    with ApiSandboxDirectory(endpoint, requests=requests) as directory:
        limits = Limits(max_kill=10_000, max_share=1)
        sweeper = Sweeper(directory, limits=limits, sleep=lambda _: None)
        return sweeper.sweep(force=True)


def ended(hollow: Hollow) -> set[str]:
    rows = admin(hollow.endpoint).sandboxes()
    return {row["sandbox_id"] for row in rows if row["state"] == "killed"}


@pytest.mark.parametrize(
    ("sandboxes", "due"),
    [(1_000, 300), pytest.param(10_000, 3_000, marks=pytest.mark.slow)],
)
def test_exactly_what_is_ours_and_due_goes(sandboxes: int, due: int) -> None:
    """Edited, copied, unsigned, renewed, foreign and one second too young: all stay."""
    with hollow_emulator(sandboxes, due) as hollow:
        report = sweep(hollow)
        assert ended(hollow) == set(report.orphans) == hollow.due
        assert report.exit_code is ExitCode.PASSED
        assert sweep(hollow).endings == ()


@pytest.mark.parametrize(
    ("route", "effects"),
    [
        ("DELETE /sandboxes/*", {"status": 429, "headers": {"Retry-After": "0"}}),
        ("DELETE /sandboxes/*", {"status": 500}),
        ("DELETE /sandboxes/*", {"status": 409}),
        ("DELETE /sandboxes/*", {"reset": True}),
        ("GET /sandboxes/*", {"status": 503}),
        ("GET /sandboxes/*", {"vanish": True}),
        ("GET /v2/sandboxes", {"status": 429}),
        ("GET /v2/sandboxes", {"status": 500}),
        ("GET /v2/sandboxes", {"reset": True}),
        ("GET /v2/sandboxes", {"cut_after_bytes": 500}),
    ],
)
def test_weather_that_passes_changes_nothing(route: str, effects: dict[str, object]) -> None:
    """A fault now and then is waited out, and the same ones go."""
    with hollow_emulator(300, 90) as hollow:
        weather = {"times": 40, "probability": 0.15, **effects}
        admin(hollow.endpoint).fault(route, **weather)
        report = sweep(hollow)
        assert report.exit_code is ExitCode.PASSED, report.left
        assert ended(hollow) == hollow.due


@pytest.mark.parametrize("status", [429, 500, 404, 409])
def test_weather_that_stays_is_an_honest_failure_that_names_what_is_left(status: int) -> None:
    """No kill goes through: each is named, and the exit code says leak."""
    with hollow_emulator(60, 20) as hollow:
        fault = {"status": status, "headers": {"Retry-After": "100"}, "times": 0}
        admin(hollow.endpoint).fault("DELETE /sandboxes/*", **fault)
        endpoint = ApiEndpoint.from_env(hollow.endpoint.env)
        patience = Patience(attempts=2, limited_s=0.1, first_pause_s=0.01, longest_pause_s=0.05)
        requests = ApiRequests(endpoint, patience=patience)
        with ApiSandboxDirectory(endpoint, requests=requests) as directory:
            report = Sweeper(directory, sleep=lambda _: None).sweep(force=True)
        assert {one.sandbox_id for one in report.left} == hollow.due
        assert report.exit_code is ExitCode.LEAK
        assert ended(hollow) == set()


def test_kill_that_is_acknowledged_and_not_carried_out_is_noticed() -> None:
    """One of many lies; exactly that one is named."""
    with hollow_emulator(100, 30) as hollow:
        liar = min(hollow.due)
        admin(hollow.endpoint).fault("DELETE /sandboxes/*", sandbox_id=liar, status=204, times=0)
        report = sweep(hollow)
        assert [(one.sandbox_id, one.fate) for one in report.left] == [(liar, Fate.STILL_ALIVE)]
        assert ended(hollow) == hollow.due - {liar}


def test_timeouts_of_the_listing_end_nothing() -> None:
    """A service that hangs is an error, not an empty account."""
    with hollow_emulator(60, 20) as hollow:
        admin(hollow.endpoint).fault("GET /v2/sandboxes", delay_s=3.0, times=0)
        endpoint = ApiEndpoint.from_env(hollow.endpoint.env)
        patience = Patience(attempts=2, first_pause_s=0.01, timeout_s=0.2)
        requests = ApiRequests(endpoint, patience=patience)
        with (
            ApiSandboxDirectory(endpoint, requests=requests) as directory,
            pytest.raises(HarnessError, match="no answer"),
        ):
            Sweeper(directory).sweep(force=True)
        assert ended(hollow) == set()
