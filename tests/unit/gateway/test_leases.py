"""Leases: a short life that lasts as long as somebody prolongs it, and no longer."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from e2b_stand_in import KEY, StandIn, serve
from guest_lab import DEADLINE_S, eventually

from harness.errors import BrokenError
from harness.gateway import Gateway
from harness.model.sandbox import OwnershipTags

HEADERS = {"X-API-Key": KEY}
LEASE_S = 1


@pytest.fixture
def service() -> Iterator[StandIn]:
    with serve() as running:
        yield running


@pytest.fixture
def gateway(service: StandIn, tmp_path: Path) -> Iterator[Gateway]:
    with Gateway(upstream=service.url, key=KEY, state_dir=tmp_path, lease_s=LEASE_S) as gateway:
        yield gateway


def post(gateway: Gateway, path: str, **fields: object) -> httpx.Response:
    url = gateway.endpoint.env["E2B_API_URL"]
    return httpx.post(
        f"{url}{path}", json=fields, headers=HEADERS, trust_env=False, timeout=DEADLINE_S
    )


def renewals(service: StandIn) -> list[int]:
    """What the service was asked for."""
    return [
        json.loads(body)["timeout"]
        for method, target, body in service.requests
        if method == "POST" and target.endswith("/timeout")
    ]


def test_lease_is_told_and_the_life_that_was_asked_for_is_tagged(
    gateway: Gateway, service: StandIn
) -> None:
    """The service ends it soon where nobody prolongs; the policy knows until when it is needed."""
    sandbox_id = post(gateway, "/v2/sandboxes", templateID="base", timeout=600).json()["sandboxID"]
    record = service.sandboxes[sandbox_id]
    assert record.end_at - record.started_at == timedelta(seconds=LEASE_S)
    tags = OwnershipTags.from_metadata(record.metadata)
    assert tags is not None
    assert tags.is_signed_with(KEY)
    assert tags.expires_at - tags.created_at == timedelta(seconds=600)


def test_lease_is_prolonged_until_the_gateway_is_gone(service: StandIn, tmp_path: Path) -> None:
    """Beat by beat, each no longer than a lease; after kill -9 there is none."""
    gateway = Gateway(upstream=service.url, key=KEY, state_dir=tmp_path, lease_s=LEASE_S)
    gateway.start()
    post(gateway, "/v2/sandboxes", templateID="base", timeout=600)
    eventually(lambda: len(renewals(service)) > 1)
    assert set(renewals(service)) == {LEASE_S}
    os.kill(gateway.pid, signal.SIGKILL)
    with pytest.raises(BrokenError, match="exit code -9"):
        gateway.stop()
    # What it had sent before its end is heard by now.
    httpx.get(f"{service.url}/health", trust_env=False, timeout=DEADLINE_S)
    before = len(renewals(service))
    assert len(service.sandboxes) == 1
    assert len(renewals(service)) == before


def test_request_for_more_time_gets_a_lease_and_moves_the_end(
    gateway: Gateway, service: StandIn
) -> None:
    """The client's own set_timeout is answered by the service, with no more than a lease."""
    sandbox_id = post(gateway, "/v2/sandboxes", templateID="base", timeout=600).json()["sandboxID"]
    answer = post(gateway, f"/sandboxes/{sandbox_id}/timeout", timeout=900)
    assert answer.status_code == 204
    assert set(renewals(service)) == {LEASE_S}


@pytest.mark.parametrize(
    "fields", [{"timeout": 1}, {}, {"timeout": 600, "autoPause": True}, {"timeout": "x"}]
)
def test_life_that_gets_no_lease_passes_unchanged(
    gateway: Gateway, service: StandIn, fields: dict[str, object]
) -> None:
    """A short one, the service's default, one that would pause, and none at all."""
    post(gateway, "/v2/sandboxes", templateID="base", **fields)
    (sent,) = [json.loads(body) for method, _, body in service.requests if method == "POST"]
    assert {name: sent.get(name) for name in fields} == fields
    assert set(sent) == {"templateID", "metadata", *fields}


def test_life_of_somebody_elses_sandbox_is_theirs(gateway: Gateway, service: StandIn) -> None:
    """What this run did not create is neither shortened nor prolonged."""
    service.plant("itheirs")
    post(gateway, "/sandboxes/itheirs/timeout", timeout=900)
    assert renewals(service) == [900]
