"""`cleanup_orphaned_sandboxes` as users call it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import e2b
import pytest
from e2b_stand_in import KEY, StandIn, refusal, serve
from scripted_directory import ScriptedDirectory, failure

from harness.errors import LeakError, NotRunError, UsageError
from harness.model.sandbox import OwnershipTags
from harness.orphans import cleanup_orphaned_sandboxes

HOUR = 3600.0


@pytest.fixture
def directory() -> ScriptedDirectory:
    directory = ScriptedDirectory()
    directory.plant("i-old", age_s=3 * HOUR, timeout_s=24 * HOUR)
    directory.plant("i-young", age_s=1 * HOUR, timeout_s=24 * HOUR)
    directory.plant("i-foreign", age_s=9 * HOUR, ours=False)
    return directory


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    monkeypatch.chdir(tmp_path)
    with serve() as stand_in:
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
        stand_in.plant("iforeign", age_s=9 * HOUR)
        yield stand_in


def test_cleanup_ends_what_is_ours_and_old(directory: ScriptedDirectory) -> None:
    """The ids of what was ended come back; everything else is still there."""
    ended = cleanup_orphaned_sandboxes(client=directory, max_age_hours=2, dry_run=False)
    assert ended == ["i-old"]
    assert set(directory.records) == {"i-young", "i-foreign"}


def test_cleanup_in_a_dry_run_only_says_so(directory: ScriptedDirectory) -> None:
    """The ids of what would be ended come back, and nothing is ended."""
    assert cleanup_orphaned_sandboxes(directory, 2, True) == ["i-old"]
    assert len(directory.records) == 3


def test_cleanup_honours_the_age(directory: ScriptedDirectory) -> None:
    """A smaller age takes more, never what is not ours."""
    assert cleanup_orphaned_sandboxes(client=directory, max_age_hours=0.5) == ["i-young", "i-old"]
    assert set(directory.records) == {"i-foreign"}


def test_cleanup_says_what_it_could_not_end(directory: ScriptedDirectory) -> None:
    """A kill that fails is an error that names the sandbox, not a shorter list."""
    directory.fail_kill["i-old"] = failure("E2B answered 500")
    with pytest.raises(LeakError, match="i-old"):
        cleanup_orphaned_sandboxes(client=directory)


@pytest.mark.parametrize("age", [-1, float("nan")])
def test_cleanup_refuses_an_age_that_is_none(directory: ScriptedDirectory, age: float) -> None:
    """A negative age would take everything of ours, one that is no number who knows what."""
    with pytest.raises(UsageError, match="max_age_hours"):
        cleanup_orphaned_sandboxes(client=directory, max_age_hours=age)
    assert len(directory.records) == 3


class E2BLiveTransport:
    """Named as Osiris's own; it takes the key from the environment."""


@pytest.mark.parametrize("client", ["settings", "class", "async class", "bound", "osiris"])
def test_cleanup_understands_the_clients_that_users_have(
    service: StandIn, monkeypatch: pytest.MonkeyPatch, client: str
) -> None:
    """The SDK's classes, a bound client, Osiris's client and no client mean the same account."""
    clients = {
        "settings": None,
        "class": e2b.Sandbox,
        "async class": e2b.AsyncSandbox,
        "bound": e2b.E2B(api_key=KEY, api_url=service.url),
        "osiris": SimpleNamespace(transport=E2BLiveTransport()),
    }
    if client != "bound":
        monkeypatch.setenv("E2B_API_KEY", KEY)
        monkeypatch.setenv("E2B_API_URL", service.url)
    assert cleanup_orphaned_sandboxes(client=clients[client]) == ["iold"]
    assert set(service.sandboxes) == {"iyoung", "iforeign"}


def test_cleanup_uses_the_services_clock(service: StandIn) -> None:
    """A sandbox is old when the service says so, whatever this machine's clock says."""
    client = e2b.E2B(api_key=KEY, api_url=service.url)
    service.clock.advance(HOUR + 1)
    assert cleanup_orphaned_sandboxes(client=client) == ["iyoung", "iold"]


def test_cleanup_through_any_client_that_lists_and_kills(directory: ScriptedDirectory) -> None:
    """A client of one's own works; without the service's clock, this machine's is used."""

    class Client:
        def list(self) -> list[object]:
            return list(directory.list())

        def kill(self, sandbox_id: str) -> bool:
            return directory.kill(sandbox_id)

    ended = cleanup_orphaned_sandboxes(client=Client())
    assert ended == ["i-young", "i-old"]  # the manual clock's 2026-01-01 is long ago
    assert set(directory.records) == {"i-foreign"}


def test_cleanup_refuses_what_is_no_client() -> None:
    """Three lines say what would do."""
    with pytest.raises(UsageError, match="cannot list and kill") as caught:
        cleanup_orphaned_sandboxes(client=SimpleNamespace())
    assert "e2b.Sandbox" in caught.value.expected


def test_cleanup_without_a_key_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The words are those that users know."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotRunError, match="E2B_API_KEY not set"):
        cleanup_orphaned_sandboxes()


@pytest.mark.parametrize("client", [None, e2b.Sandbox])
def test_cleanup_in_debug_mode_stops(
    service: StandIn, monkeypatch: pytest.MonkeyPatch, client: object
) -> None:
    """With E2B_DEBUG a kill is silently not sent, so nothing is even listed."""
    monkeypatch.setenv("E2B_API_KEY", KEY)
    monkeypatch.setenv("E2B_API_URL", service.url)
    monkeypatch.setenv("E2B_DEBUG", "true")
    with pytest.raises(UsageError, match="E2B_DEBUG"):
        cleanup_orphaned_sandboxes(client=client)
    assert service.requests == []


def test_cleanup_survives_faults_of_the_service(service: StandIn) -> None:
    """429 with Retry-After, 500 and 409 in the way change nothing of the result."""
    client = e2b.E2B(api_key=KEY, api_url=service.url)
    service.fail("GET /v2/sandboxes", refusal(500))
    service.fail("GET /sandboxes/iold", refusal(503))
    service.fail("DELETE /sandboxes/iold", refusal(409, "is being paused"))
    assert cleanup_orphaned_sandboxes(client=client) == ["iold"]
