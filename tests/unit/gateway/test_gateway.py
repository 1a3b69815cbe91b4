"""The gateway before a service: what passes, what is written down, and what is ended."""

from __future__ import annotations

import gzip
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from e2b_stand_in import KEY, StandIn, refusal, serve
from guest_lab import DEADLINE_S, eventually
from starlette.responses import Response, StreamingResponse

from harness.emulator.admin.client import AdminClient
from harness.errors import BrokenError, LeakError, NotRunError, UsageError
from harness.gateway import Gateway
from harness.model.sandbox import OwnershipTags
from harness.model.side import Endpoint
from harness.orphans import Sweeper, read_ledgers
from harness.sdk import ApiEndpoint, ApiSandboxDirectory

HEADERS = {"X-API-Key": KEY, "X-Of-The-Client": "1"}


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    with serve() as running:
        yield running


@pytest.fixture
def service(stand_in: StandIn) -> StandIn:
    stand_in.reset()
    return stand_in


@pytest.fixture
def gateway(service: StandIn, tmp_path: Path) -> Iterator[Gateway]:
    with Gateway(upstream=service.url, key=KEY, state_dir=tmp_path, grace_s=0) as gateway:
        yield gateway


def call(gateway: Gateway, method: str, path: str, **kw: object) -> httpx.Response:
    url = gateway.endpoint.env["E2B_API_URL"]
    with httpx.Client(headers=HEADERS, trust_env=False, timeout=DEADLINE_S) as client:
        return client.request(method, f"{url}{path}", **kw)  # type: ignore[arg-type]


def create(gateway: Gateway, **fields: object) -> str:
    answer = call(gateway, "POST", "/v2/sandboxes", json={"templateID": "base", **fields})
    assert answer.status_code == 201
    return str(answer.json()["sandboxID"])


def ledger(gateway: Gateway) -> list[dict[str, object]]:
    """Whole lines: the last one may be under way."""
    whole, _, _ = gateway.ledger_path.read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def kinds(gateway: Gateway) -> list[object]:
    return [line["kind"] for line in ledger(gateway)]


def leave_during_create(gateway: Gateway, service: StandIn) -> None:
    """Asks for a sandbox, and goes when the service is at it."""
    service.before_create = threading.Event()
    url = httpx.URL(gateway.endpoint.env["E2B_API_URL"])
    body = b'{"templateID": "base"}'
    head = f"POST /v2/sandboxes HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((url.host, url.port or 0), DEADLINE_S) as connection:
        connection.sendall(head.encode() + body)
        eventually(lambda: "POST" in {method for method, _, _ in service.requests})


@pytest.mark.parametrize("path", ["/sandboxes", "/v2/sandboxes"])
def test_create_is_stamped_recorded_and_otherwise_unchanged(
    gateway: Gateway, service: StandIn, path: str
) -> None:
    """Intent before, id after, tags in between; the answer is the service's own."""
    answer = call(gateway, "POST", path, json={"templateID": "base", "envVars": {"A": "b"}})
    sandbox_id = answer.json()["sandboxID"]
    tags = OwnershipTags.from_metadata(service.sandboxes[sandbox_id].metadata)
    assert tags is not None
    assert tags.is_signed_with(KEY)
    assert tags.run_id == gateway.run_id
    assert str(os.getpid()) in tags.owner
    assert kinds(gateway) == ["opened", "intent", "created"]
    assert KEY not in gateway.ledger_path.read_text()
    method, target, body = service.requests[-1]
    assert (method, target) == ("POST", path)
    assert json.loads(body)["envVars"] == {"A": "b"}
    assert service.headers[-1]["x-of-the-client"] == "1"
    assert gateway.alive() == (sandbox_id,)


def test_create_that_is_refused_passes_and_leaves_no_open_intent(
    gateway: Gateway, service: StandIn
) -> None:
    """The service's status, words and headers reach the client."""
    service.fail("POST /v2/sandboxes", refusal(429, "concurrency reached", retry_after="3"))
    answer = call(gateway, "POST", "/v2/sandboxes", json={"templateID": "base"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
    assert answer.json()["message"] == "concurrency reached"
    assert kinds(gateway) == ["opened", "intent", "refused"]


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408, 201])
def test_create_that_was_answered_badly_and_happened_all_the_same_is_ended(
    gateway: Gateway, service: StandIn, status: int
) -> None:
    """Something on the way answers for the service; what the create made is found and ended."""
    service.plant("itheirs", metadata={"harness_run": gateway.run_id})
    service.lie("POST /v2/sandboxes", refusal(status, "upstream timed out"))
    answer = call(gateway, "POST", "/v2/sandboxes", json={"templateID": "base"})
    assert (answer.status_code, answer.json()["message"]) == (status, "upstream timed out")
    eventually(lambda: "killed" in kinds(gateway))
    assert set(service.sandboxes) == {"itheirs"}
    assert kinds(gateway) == ["opened", "intent", "unanswered", "created", "killed"]


def test_create_that_was_answered_badly_is_left_to_a_sweep_where_the_gateway_dies(
    service: StandIn, tmp_path: Path
) -> None:
    """Its books stay open, so that nobody takes the sandbox for another run's."""
    gateway = Gateway(upstream=service.url, key=KEY, state_dir=tmp_path, grace_s=60)
    gateway.start()
    call(gateway, "GET", "/health")  # it knows the service's time from now on
    service.lie("POST /v2/sandboxes", refusal(504))
    call(gateway, "POST", "/v2/sandboxes", json={"templateID": "base"})
    os.kill(gateway.pid, signal.SIGKILL)
    with pytest.raises(BrokenError, match="exit code -9"):
        gateway.stop()
    (sandbox_id,) = service.sandboxes
    service.clock.advance(61)
    endpoint = ApiEndpoint.from_env({"E2B_API_KEY": KEY, "E2B_API_URL": service.url})
    with ApiSandboxDirectory(endpoint) as directory:
        report = Sweeper(directory, ledger=read_ledgers(tmp_path)).sweep(force=True)
    assert report.orphans == (sandbox_id,)
    assert service.sandboxes == {}


def test_kill_of_the_client_that_was_not_carried_out_is_noticed(
    service: StandIn, tmp_path: Path
) -> None:
    """At the end of a test or of the run the service is asked whether it did what it said."""
    gateway = Gateway(upstream=service.url, key=KEY, state_dir=tmp_path)
    gateway.start()
    ended, left = create(gateway), create(gateway)
    service.immortal.add(left)
    for sandbox_id in (ended, left):
        assert call(gateway, "DELETE", f"/sandboxes/{sandbox_id}").status_code == 204
    assert gateway.alive() == ()
    with pytest.raises(LeakError, match=left):
        gateway.reap()
    assert gateway.alive() == (left,)
    service.immortal.clear()
    gateway.stop()
    assert service.sandboxes == {}


def test_kill_of_the_client_that_cannot_be_verified_is_named(
    service: StandIn, tmp_path: Path
) -> None:
    """Acknowledged, and no listing since: that is not known to be over."""
    gateway = Gateway(upstream=service.url, key=KEY, state_dir=tmp_path)
    gateway.start()
    sandbox_id = create(gateway)
    call(gateway, "DELETE", f"/sandboxes/{sandbox_id}")
    service.fail("GET /v2/sandboxes", *(refusal(503) for _ in range(4)))
    with pytest.raises(LeakError, match=f"{sandbox_id}.*not verified.*503"):
        gateway.stop()


def test_variables_that_lead_past_the_api_are_passed_on(service: StandIn, tmp_path: Path) -> None:
    """A client of the gateway finds the rest of the service where it was."""
    env = {
        "E2B_API_URL": service.url,
        "E2B_API_KEY": KEY,
        "E2B_VOLUME_API_URL": "http://127.0.0.1:9",
    }
    with Gateway(upstream=Endpoint(name="emulator", env=env), state_dir=tmp_path) as gateway:
        assert gateway.endpoint.env["E2B_VOLUME_API_URL"] == "http://127.0.0.1:9"
        assert gateway.endpoint.env["E2B_API_URL"] != service.url


def test_create_repeated_with_its_idempotency_key_has_the_same_body(
    gateway: Gateway, service: StandIn
) -> None:
    """A service that compares bodies of one key must not see two."""
    url = f"{gateway.endpoint.env['E2B_API_URL']}/v2/sandboxes"
    for key in ("a", "a", "b"):
        headers = {**HEADERS, "Idempotency-Key": key}
        httpx.post(url, json={"templateID": "base"}, headers=headers, trust_env=False)
    nonces = [json.loads(body)["metadata"]["harness_nonce"] for _, _, body in service.requests]
    assert nonces[0] == nonces[1] != nonces[2]


def test_fork_is_recorded(gateway: Gateway) -> None:
    """The sandboxes of a fork belong to the run as well."""
    sandbox_id = create(gateway)
    call(gateway, "POST", f"/sandboxes/{sandbox_id}/fork", json={"count": 2})
    assert gateway.alive() == (sandbox_id, f"{sandbox_id}fork")


def test_everything_else_passes_byte_for_byte(gateway: Gateway, service: StandIn) -> None:
    """Method, quoted path, query, body; status, repeated headers, encoding and raw bytes."""
    packed = gzip.compress(b"x" * 5000, mtime=0)
    ordered = Response(
        packed, 207, headers={"content-encoding": "gzip", "x-odd": "ž".encode().decode("latin-1")}
    )
    ordered.raw_headers.append((b"set-cookie", b"a=1"))
    ordered.raw_headers.append((b"set-cookie", b"b=2"))
    service.fail("PUT /templates/a/b:c", ordered)
    url = gateway.endpoint.env["E2B_API_URL"]
    with (
        httpx.Client(trust_env=False) as client,
        client.stream(
            "PUT", f"{url}/templates/a%2Fb%3Ac?x=1&x=%2520", content=b"\0raw", headers=HEADERS
        ) as answer,
    ):
        raw = b"".join(answer.iter_raw())
    assert raw == packed
    assert answer.status_code == 207
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert answer.headers["date"]
    assert service.requests[-1] == ("PUT", "/templates/a/b:c?x=1&x=%2520", b"\0raw")
    sent = service.headers[-1]
    assert sent["host"] == service.url.removeprefix("http://")
    assert {"x-api-key", "x-of-the-client"} <= set(sent)


def test_what_the_client_did_not_send_is_not_added(gateway: Gateway, service: StandIn) -> None:
    """A bare request stays bare: no User-Agent, no Accept of the gateway's own."""
    host, port = gateway.endpoint.env["E2B_API_URL"].removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), DEADLINE_S) as connection:
        connection.sendall(b"GET /v2/sandboxes HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        while connection.recv(4096):
            pass
    assert set(service.headers[-1]) <= {"host", "connection"}


def test_answer_streams_as_it_comes(gateway: Gateway, service: StandIn) -> None:
    """The first piece reaches the client before the last one is made."""
    release = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield b"first"
        assert release.wait(DEADLINE_S)
        yield b"last"

    service.fail("GET /logs", StreamingResponse(pieces()))
    url = gateway.endpoint.env["E2B_API_URL"]
    with (
        httpx.Client(trust_env=False) as client,
        client.stream("GET", f"{url}/logs", headers=HEADERS) as answer,
    ):
        stream = answer.iter_raw()
        assert next(stream) == b"first"
        release.set()
        assert b"".join(stream) == b"last"


def test_unreachable_service_is_a_502_that_names_it(unused_tcp_port: int, tmp_path: Path) -> None:
    """The client gets JSON in the service's form, and the create stays an open intent."""
    upstream = f"http://127.0.0.1:{unused_tcp_port}"
    with Gateway(upstream=upstream, key=KEY, state_dir=tmp_path) as gateway:
        answer = call(gateway, "POST", "/v2/sandboxes", json={"templateID": "base"})
    assert answer.status_code == 502
    assert str(unused_tcp_port) in answer.json()["message"]
    assert kinds(gateway)[1:3] == ["intent", "unanswered"]
    (book,) = read_ledgers(tmp_path).books
    assert not book.books_closed


def test_kill_by_the_client_is_recorded_although_nothing_could_be_collected(
    gateway: Gateway, service: StandIn
) -> None:
    """The stand-in has no envd: the failure is noted, and never blocks the kill."""
    sandbox_id = create(gateway)
    assert call(gateway, "DELETE", f"/sandboxes/{sandbox_id}").status_code == 204
    assert sandbox_id not in service.sandboxes
    assert kinds(gateway)[-2:] == ["not_collected", "killed"]
    assert AdminClient(gateway.endpoint).after_images() == []


def test_kill_of_somebody_elses_sandbox_only_passes(gateway: Gateway, service: StandIn) -> None:
    """What the run did not create is not connected to, collected or remembered."""
    service.plant("itheirs")
    assert call(gateway, "DELETE", "/sandboxes/itheirs").status_code == 204
    assert [path for _, path, _ in service.requests] == ["/sandboxes/itheirs"]


def test_reap_ends_what_is_alive_and_nothing_else(gateway: Gateway, service: StandIn) -> None:
    """The run's sandboxes go, also one that is gone already; the others stay."""
    service.plant("itheirs")
    first, second = create(gateway), create(gateway)
    del service.sandboxes[first]
    gateway.reap()
    assert set(service.sandboxes) == {"itheirs"}
    assert gateway.alive() == ()
    assert {line["sandbox_id"] for line in ledger(gateway) if line["kind"] == "killed"} == {
        first,
        second,
    }


def test_reap_notices_a_kill_that_was_not_carried_out(service: StandIn, tmp_path: Path) -> None:
    """Acknowledged is not ended: it is tried again, and then named."""
    gateway = Gateway(upstream=service.url, key=KEY, state_dir=tmp_path)
    gateway.start()
    sandbox_id = create(gateway)
    service.immortal.add(sandbox_id)
    with pytest.raises(LeakError, match=sandbox_id):
        gateway.reap()
    with pytest.raises(LeakError, match=f"exit code 5.*{sandbox_id}"):
        gateway.stop()
    assert kinds(gateway)[-1] == "left"


def test_stop_ends_what_the_run_left_alive(service: StandIn, tmp_path: Path) -> None:
    """A client that forgets its sandbox leaves none behind."""
    with Gateway(upstream=service.url, key=KEY, state_dir=tmp_path) as gateway:
        create(gateway)
        service.fail("DELETE /", refusal(500), refusal(429))
    assert service.sandboxes == {}
    assert kinds(gateway)[-2:] == ["killed", "closed"]


PARENT = """
import json, pathlib, sys
from harness.gateway import Gateway
url, key, folder = sys.argv[1:]
gateway = Gateway(upstream=url, key=key, state_dir=pathlib.Path(folder))
gateway.start()
ready = {"url": gateway.endpoint.env["E2B_API_URL"], "pid": gateway._process.pid}
print(json.dumps(ready), flush=True)
input()
"""


@pytest.mark.parametrize("how", ["parent killed", "SIGTERM", "SIGINT", "SIGINT twice"])
def test_any_end_of_parent_or_gateway_ends_the_sandboxes(
    service: StandIn, tmp_path: Path, how: str
) -> None:
    """However it ends, but for a kill -9 of the gateway itself, nothing stays alive."""
    command = [sys.executable, "-c", PARENT, service.url, KEY, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        ready = json.loads(parent.stdout.readline())
        httpx.post(
            f"{ready['url']}/sandboxes",
            json={"templateID": "base"},
            headers=HEADERS,
            trust_env=False,
        ).raise_for_status()
        assert len(service.sandboxes) == 1
        gone = os.pidfd_open(ready["pid"])
        if how == "parent killed":
            parent.kill()
        else:
            for _ in range(2 if how.endswith("twice") else 1):
                os.kill(ready["pid"], signal.SIGTERM if how == "SIGTERM" else signal.SIGINT)
        assert select.select([gone], [], [], DEADLINE_S)[0]
        os.close(gone)
        parent.kill()
    assert service.sandboxes == {}


def test_client_that_leaves_during_its_create_leaves_no_sandbox(
    gateway: Gateway, service: StandIn
) -> None:
    """The gateway finishes the create, and ends what nobody waited for."""
    leave_during_create(gateway, service)
    assert service.before_create is not None
    service.before_create.set()
    eventually(lambda: "killed" in kinds(gateway))
    assert service.sandboxes == {}
    assert kinds(gateway) == ["opened", "intent", "created", "killed"]


def test_stop_during_a_create_waits_for_it_and_ends_it(service: StandIn, tmp_path: Path) -> None:
    """What was under way at the end is finished upstream and ended there."""
    gateway = Gateway(upstream=service.url, key=KEY, state_dir=tmp_path)
    gateway.start()
    leave_during_create(gateway, service)
    assert service.before_create is not None
    timer = threading.Timer(0.3, service.before_create.set)
    timer.start()
    gateway.stop()
    timer.join()
    assert service.sandboxes == {}
    assert kinds(gateway)[-2:] == ["killed", "closed"]


def test_killed_gateway_leaves_a_ledger_that_tells_whose_they_are(
    service: StandIn, tmp_path: Path
) -> None:
    """After kill -9 the run is dead, its sandbox is known, and nothing is claimed to be over."""
    gateway = Gateway(upstream=service.url, key=KEY, state_dir=tmp_path)
    gateway.start()
    sandbox_id = create(gateway)
    assert gateway._process is not None
    gateway._process.kill()
    with pytest.raises(BrokenError, match="exit code -9"):
        gateway.stop()
    (book,) = read_ledgers(tmp_path).books
    assert (book.alive, book.closed) == (frozenset({sandbox_id}), False)


def test_own_routes_ask_for_the_token(gateway: Gateway, service: StandIn) -> None:
    """A client that passes by gets neither images nor a reap, and nothing is forwarded."""
    assert call(gateway, "POST", "/_harness/reap").status_code == 401
    assert call(gateway, "GET", "/_harness/after-images/..%2Fledger.jsonl").status_code == 401
    assert service.requests == []


def test_unknown_after_image_is_a_404(gateway: Gateway, tmp_path: Path) -> None:
    """Also where the id tries to be a path."""
    admin = AdminClient(gateway.endpoint)
    for sandbox_id in ("iabc", "../ledger"):
        with pytest.raises(BrokenError, match="404"):
            admin.fetch_after_image(sandbox_id, tmp_path / "into")


def test_key_is_in_the_clients_environment_and_nowhere_else(
    gateway: Gateway, tmp_path: Path
) -> None:
    """Not in the process's arguments, its environment, the ledger, the log or the repr."""
    create(gateway)
    assert gateway.endpoint.env["E2B_API_KEY"] == KEY
    assert gateway._process is not None
    process = Path("/proc") / str(gateway._process.pid)
    for path in (process / "cmdline", process / "environ", *tmp_path.rglob("*.*")):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes()
    assert KEY not in repr(gateway.endpoint)


@pytest.mark.parametrize("run_id", ["../up", "", "a/b", ".hidden", "x" * 101])
def test_run_id_that_is_no_folder_name_is_refused(tmp_path: Path, run_id: str) -> None:
    """The ledger stays below the state folder."""
    with pytest.raises(UsageError, match="run id"):
        Gateway(upstream="http://127.0.0.1:1", key=KEY, state_dir=tmp_path, run_id=run_id)


def test_gateway_without_a_key_does_not_run(tmp_path: Path) -> None:
    """The words are those that users know."""
    with pytest.raises(NotRunError, match="E2B_API_KEY not set"):
        Gateway(upstream="http://127.0.0.1:1", state_dir=tmp_path)


def test_gateway_that_cannot_write_does_not_start(service: StandIn, tmp_path: Path) -> None:
    """A state folder that is a file is named, and no process is left."""
    (tmp_path / "state").write_text("a file")
    with pytest.raises(BrokenError, match="could not be started"):
        Gateway(upstream=service.url, key=KEY, state_dir=tmp_path / "state").start()


def test_stopped_gateway_says_that_it_does_not_run(gateway: Gateway) -> None:
    """Its endpoint is no longer to be had; stopping again is fine."""
    gateway.stop()
    gateway.stop()
    with pytest.raises(BrokenError, match="does not run"):
        _ = gateway.endpoint
