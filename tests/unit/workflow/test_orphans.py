"""The orphans category: its control can fail, and live is never silently green."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from e2b_stand_in import KEY, StandIn, refusal, serve
from scripted_directory import ScriptedDirectory, failure

from harness.errors import ExitCode
from harness.model.outcome import Outcome
from harness.model.sandbox import OwnershipTags
from harness.model.verdict import Verdict
from harness.orphans import Rules, Sweeper
from harness.reports.session import read_verdict
from harness.settings import Settings
from harness.workflow import orphans
from harness.workflow.orphans import checks_of_sweep, run_control, run_live

HOUR = 3600.0


@pytest.fixture
def service() -> Iterator[StandIn]:
    with serve() as stand_in:
        yield stand_in


def settings_of(root: Path, service: StandIn | None = None, **more: str) -> Settings:
    env = {"E2B_LIVE_TESTS": "1", **more}
    if service is not None:
        env |= {"E2B_API_KEY": KEY, "E2B_API_URL": service.url}
    return Settings.load(root=root, environ=env)


def plant_ours(service: StandIn, name: str, age_s: float) -> None:
    started_at = service.clock.now() - timedelta(seconds=age_s)
    tags = OwnershipTags(
        run_id="run-1",
        owner="ann@host:1",
        created_at=started_at,
        expires_at=started_at + timedelta(hours=24),
        nonce=name,
    )
    service.plant(name, age_s=age_s, timeout_s=24 * HOUR, metadata=tags.signed(KEY).to_metadata())


def outcomes(verdict: Verdict) -> dict[str, Outcome]:
    return {check.name: check.outcome for check in verdict.checks}


def test_control_finds_and_ends_exactly_the_planted_orphan(tmp_path: Path) -> None:
    """In an emulator of its own, with the report written."""
    settings = settings_of(tmp_path)
    verdict = run_control(settings)
    assert {*outcomes(verdict).values()} == {Outcome.PASSED}, verdict.checks
    assert len(verdict.checks) == 5
    written = read_verdict(settings.reports / "orphans" / "verdict.json")
    assert written.checks == verdict.checks
    assert (settings.reports / "orphans" / "junit.xml").is_file()


def test_control_of_a_blind_sweep_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy that finds nothing does not pass."""
    monkeypatch.setattr(orphans, "RULES", Rules(max_age=timedelta(hours=3)))
    verdict = run_control(settings_of(tmp_path))
    assert verdict.exit_code is ExitCode.FAILED
    assert outcomes(verdict)["a dry run finds the orphan only"] is Outcome.FAILED


def test_control_of_an_overeager_sweep_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A policy that takes the young one as well does not pass."""
    monkeypatch.setattr(orphans, "RULES", Rules(max_age=timedelta(seconds=-1)))
    verdict = run_control(settings_of(tmp_path))
    assert outcomes(verdict)["force ends nothing else"] is Outcome.FAILED


def test_live_without_a_key_is_not_run(tmp_path: Path) -> None:
    """The reason is in the words that users know; required, it is a failure."""
    verdict = run_live(settings_of(tmp_path))
    assert verdict.exit_code is ExitCode.NOT_RUN
    assert "E2B_API_KEY not set" in verdict.checks[0].reason
    assert run_live(settings_of(tmp_path), require=True).exit_code is ExitCode.FAILED


def test_live_with_a_clean_listing_passes(tmp_path: Path, service: StandIn) -> None:
    """What is young or not ours is no leak."""
    plant_ours(service, "iyoung", HOUR)
    service.plant("iforeign", age_s=50 * HOUR)
    verdict = run_live(settings_of(tmp_path, service))
    assert (verdict.exit_code, outcomes(verdict)) == (
        ExitCode.PASSED,
        {"listing": Outcome.PASSED},
    )


def test_live_with_an_orphan_is_a_leak_and_ends_nothing(tmp_path: Path, service: StandIn) -> None:
    """The sandbox is named, the exit code is 5, and it is still there."""
    plant_ours(service, "iold", 3 * HOUR)
    verdict = run_live(settings_of(tmp_path, service))
    assert verdict.exit_code is ExitCode.LEAK
    assert outcomes(verdict)["sandbox iold"] is Outcome.FAILED
    assert verdict.details["orphans"] == ["iold"]
    assert set(service.sandboxes) == {"iold"}


def test_live_that_cannot_list_is_broken(tmp_path: Path, service: StandIn) -> None:
    """A refused key is not a clean account."""
    service.fail("GET /v2/sandboxes", refusal(401, "invalid API key"))
    verdict = run_live(settings_of(tmp_path, service))
    assert verdict.exit_code is ExitCode.BROKEN
    assert "refused the key" in verdict.checks[0].reason


def test_checks_of_a_sweep_name_what_is_left(tmp_path: Path) -> None:
    """Ended is passed, left is failed with the service's words, unverified is broken."""
    del tmp_path
    directory = ScriptedDirectory()
    directory.plant("i-ended", age_s=3 * HOUR)
    directory.plant("i-left", age_s=3 * HOUR)
    directory.fail_kill["i-left"] = failure("500 on DELETE")
    directory.fail_list_from = 2
    report = Sweeper(directory, clock=directory.clock, sleep=directory.clock.advance).sweep(
        force=True
    )
    checks = {check.name: check for check in checks_of_sweep(report)}
    assert checks["listing"].outcome is Outcome.BROKEN
    assert checks["sandbox i-ended"].outcome is Outcome.PASSED
    assert checks["sandbox i-left"].outcome is Outcome.FAILED
    assert "500 on DELETE" in checks["sandbox i-left"].reason
