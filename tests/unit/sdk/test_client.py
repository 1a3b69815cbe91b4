"""Clients that somebody hands us: what they speak to, and how their failures read."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import e2b
import pytest
from e2b_stand_in import KEY, StandIn, refusal, serve

from harness.errors import BrokenError, HarnessError, UsageError
from harness.sdk.client import ClientSandboxDirectory, endpoint_of_client


@pytest.fixture
def service() -> Iterator[StandIn]:
    with serve() as stand_in:
        yield stand_in


def directory_of(service: StandIn) -> ClientSandboxDirectory:
    return ClientSandboxDirectory(e2b.E2B(api_key=KEY, api_url=service.url, retries=0))


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (401, UsageError, "refused the key"),
        (429, BrokenError, "limits requests"),
        (500, BrokenError, "500 on list"),
        (503, BrokenError, "no answer|503"),
    ],
)
def test_failures_of_the_sdk_become_three_lines(
    service: StandIn, status: int, kind: type[HarnessError], words: str
) -> None:
    """Whatever the SDK raises is told as what happened, what was expected, what next."""
    service.fail("GET /v2/sandboxes", refusal(status))
    with pytest.raises(kind, match=words) as caught:
        directory_of(service).list()
    assert len(caught.value.lines()) == 3
    assert KEY not in str(caught.value)


def test_failure_of_a_kill_is_not_a_gone_sandbox(service: StandIn) -> None:
    """A 500 is an error, a 404 is False."""
    service.fail("DELETE /", refusal(500))
    with pytest.raises(BrokenError, match="kill"):
        directory_of(service).kill("iabc")
    assert directory_of(service).kill("iabc") is False


@pytest.mark.parametrize("client", [e2b.Sandbox, e2b.AsyncSandbox])
def test_endpoint_of_a_class_is_that_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, client: object
) -> None:
    """An unbound class reads the environment when it is used."""
    monkeypatch.setenv("E2B_API_KEY", KEY)
    monkeypatch.setenv("E2B_API_URL", "http://127.0.0.1:9")
    endpoint = endpoint_of_client(client)
    assert endpoint is not None
    assert (endpoint.api_url, endpoint.api_key.reveal()) == ("http://127.0.0.1:9", KEY)


def test_endpoint_of_a_bound_client_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is bound beats the environment."""
    monkeypatch.setenv("E2B_API_KEY", "e2b_other")
    endpoint = endpoint_of_client(e2b.E2B(api_key=KEY, domain="e2b.dev"))
    assert endpoint is not None
    assert (endpoint.api_url, endpoint.api_key.reveal()) == ("https://api.e2b.dev", KEY)


def test_endpoint_of_anything_else_is_none() -> None:
    """A client of one's own is used as it is."""
    assert endpoint_of_client(SimpleNamespace(list=list, kill=bool)) is None


def test_debug_mode_is_refused() -> None:
    """The SDK would acknowledge a kill without sending it."""
    with pytest.raises(UsageError, match="E2B_DEBUG"):
        endpoint_of_client(e2b.E2B(api_key=KEY, debug=True))


def test_asynchronous_client_of_ones_own_is_refused() -> None:
    """Its calls would answer coroutines that nobody awaits."""

    class Client:
        def list(self) -> list[object]:
            return []

        async def kill(self, sandbox_id: str) -> bool:
            return bool(sandbox_id)

    with pytest.raises(UsageError, match="asynchronous"):
        ClientSandboxDirectory(Client())
