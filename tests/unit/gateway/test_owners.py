"""Sandboxes whose processes are gone, ended in the middle of a run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from e2b_stand_in import KEY, StandIn, serve
from guest_lab import DEADLINE_S, eventually

from harness.clock import ManualClock
from harness.gateway import Gateway
from harness.orphans import Rules, Sweeper, read_ledgers
from harness.sdk import ApiEndpoint, ApiSandboxDirectory

HEADERS = {"X-API-Key": KEY}
# Asks for each path that it is told, over one connection, until its input ends.
CLIENT = """
import http.client, json, os, signal, sys
connection = http.client.HTTPConnection(sys.argv[1])
for line in sys.stdin:
    path, body = json.loads(line)
    if path == "heir":  # a grandchild whose parent ends at once: nobody's child, with the socket
        told, tells = os.pipe()
        child = os.fork()
        if child == 0:
            heir = os.fork()
            if heir:
                os.write(tells, b"%d" % heir)
                os._exit(0)
            os.closerange(0, 3)
            signal.pause()
        os.waitpid(child, 0)
        print(os.read(told, 20).decode(), flush=True)
        continue
    connection.request("POST", path, json.dumps(body), {"X-API-Key": sys.argv[2]})
    answer = connection.getresponse().read()
    print(json.loads(answer)["sandboxID"] if answer else "", flush=True)
"""


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    with serve() as running:
        yield running


@pytest.fixture
def service(stand_in: StandIn) -> StandIn:
    stand_in.reset()
    return stand_in


class Client:
    def __init__(self, gateway: Gateway) -> None:
        host = gateway.endpoint.env["E2B_API_URL"].removeprefix("http://")
        self.process = subprocess.Popen(
            [sys.executable, "-c", CLIENT, host, KEY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def post(self, path: str, **body: object) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([path, body]) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def create(self) -> str:
        return self.post("/v2/sandboxes", templateID="base", timeout=3600)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def client_of() -> Iterator[Callable[[Gateway], Client]]:
    with ExitStack() as stack:

        def make(gateway: Gateway) -> Client:
            client = Client(gateway)
            stack.callback(client.kill)
            return client

        yield make


def test_sandbox_of_a_killed_process_ends_and_no_other(
    service: StandIn, tmp_path: Path, client_of: Callable[[Gateway], Client]
) -> None:
    """The dead one's goes in the middle of the run; this process's own stays."""
    with Gateway(upstream=service.url, key=KEY, state_dir=tmp_path, owner_grace_s=0) as gateway:
        url = gateway.endpoint.env["E2B_API_URL"]
        mine = httpx.post(
            f"{url}/v2/sandboxes",
            json={"templateID": "base"},
            headers=HEADERS,
            trust_env=False,
            timeout=DEADLINE_S,
        ).json()["sandboxID"]
        client = client_of(gateway)
        theirs = client.create()
        assert set(gateway.alive()) == {mine, theirs}
        client.kill()
        eventually(lambda: gateway.alive() == (mine,))
        assert set(service.sandboxes) == {mine}
    lines = [json.loads(line) for line in gateway.ledger_path.read_text().splitlines()]
    killed = [line for line in lines if line["kind"] == "killed" and line["sandbox_id"] == theirs]
    assert [line["by"] for line in killed] == ["gateway: its owner is gone"]


def test_sandbox_of_an_heir_that_left_its_family_stays(
    service: StandIn, tmp_path: Path, client_of: Callable[[Gateway], Client]
) -> None:
    """Whoever still holds the connection needs the sandbox; it goes when that one is gone."""
    with Gateway(upstream=service.url, key=KEY, state_dir=tmp_path, owner_grace_s=0) as gateway:
        client = client_of(gateway)
        sandbox_id = client.create()
        heir = int(client.post("heir"))
        try:
            client.kill()
            eventually(lambda: '"adopted"' in gateway.ledger_path.read_text())
            assert set(service.sandboxes) == {sandbox_id}
        finally:
            os.kill(heir, signal.SIGKILL)
        eventually(lambda: not service.sandboxes)


def test_sandbox_that_another_process_asked_for_stays(
    service: StandIn, tmp_path: Path, client_of: Callable[[Gateway], Client]
) -> None:
    """Handing a sandbox on is no crime: who asks for more time needs it, until it ends too."""
    with Gateway(upstream=service.url, key=KEY, state_dir=tmp_path, owner_grace_s=0) as gateway:
        first, second = client_of(gateway), client_of(gateway)
        handed_on, forgotten = first.create(), first.create()
        second.post(f"/sandboxes/{handed_on}/timeout", timeout=600)
        eventually(lambda: '"adopted"' in gateway.ledger_path.read_text())
        first.kill()
        eventually(lambda: gateway.alive() == (handed_on,))
        assert set(service.sandboxes) == {handed_on}
        assert forgotten not in service.sandboxes
        second.kill()
        eventually(lambda: not service.sandboxes)


def test_sandbox_outlives_its_process_where_that_was_asked_for(
    service: StandIn, tmp_path: Path, client_of: Callable[[Gateway], Client]
) -> None:
    """`owner_grace_s=None` leaves everything to the end of the run."""
    with Gateway(upstream=service.url, key=KEY, state_dir=tmp_path, owner_grace_s=None) as gateway:
        client = client_of(gateway)
        sandbox = client.create()
        client.kill()
        for _ in range(20):
            assert gateway.alive() == (sandbox,)
    assert not service.sandboxes


def test_creator_and_test_are_named(
    service: StandIn, tmp_path: Path, client_of: Callable[[Gateway], Client]
) -> None:
    """Who created it is said in command lines, and the test's id is in the tags."""
    with Gateway(upstream=service.url, key=KEY, state_dir=tmp_path) as gateway:
        gateway.begin_test("tests/test_a.py::test_b")
        client = client_of(gateway)
        sandbox = client.create()
        (row,) = gateway.sandboxes()
        assert f"(pid {client.process.pid}), started by" in row["creator"]
        assert row["test_id"] == "tests/test_a.py::test_b"
        assert service.sandboxes[sandbox].metadata["harness_test"] == "tests/test_a.py::test_b"
        assert service.sandboxes[sandbox].metadata["harness_host"]


def sweep(service: StandIn, folder: Path) -> tuple[str, ...]:
    endpoint = ApiEndpoint.from_env({"E2B_API_URL": service.url, "E2B_API_KEY": KEY})
    with ApiSandboxDirectory(endpoint) as directory:
        rules = Rules(grace=timedelta(seconds=60))
        return (
            Sweeper(directory, rules=rules, ledger=read_ledgers(folder)).sweep(force=True).orphans
        )


@pytest.mark.parametrize("client_lives", [False, True])
def test_kill_9_of_the_gateway_alone_is_swept_unless_the_client_lives(
    service: StandIn,
    tmp_path: Path,
    client_of: Callable[[Gateway], Client],
    *,
    client_lives: bool,
) -> None:
    """The run goes on; what its dead gateway created goes when nobody can be using it."""
    gateway = Gateway(upstream=service.url, key=KEY, state_dir=tmp_path)
    gateway.start()
    client = client_of(gateway)
    sandbox = client.create()
    os.kill(gateway.pid, signal.SIGKILL)
    with pytest.raises(Exception, match="ended with exit code -9"):
        gateway.stop()
    if not client_lives:
        client.kill()
    clock = service.clock
    assert isinstance(clock, ManualClock)
    assert sweep(service, tmp_path) == ()  # within the grace
    clock.advance(65)
    assert sweep(service, tmp_path) == (() if client_lives else (sandbox,))
