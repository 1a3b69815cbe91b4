"""Bad weather on demand, and what the emulator tells of the requests that met it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from e2b import Sandbox, SandboxException
from e2b.exceptions import (
    NotEnoughSpaceException,
    RateLimitException,
    ServiceBusyException,
    TimeoutException,
)

from harness.emulator.attach import AdminClient
from harness.errors import BrokenError
from harness.pytest_plugin.fixtures import E2BEnvironment

Make = Callable[..., Sandbox]


def creates(emulator: AdminClient) -> list[dict[str, Any]]:
    return [
        entry
        for entry in emulator.ledger()
        if entry["path"] == "/v2/sandboxes" and entry["method"] == "POST"
    ]


def asked(emulator: AdminClient) -> list[dict[str, Any]]:
    """The requests of the client; a gateway looks for a while for what a failed create made."""
    return [entry for entry in emulator.ledger() if "harness_nonce" not in entry["query"]]


def test_fault_twice_then_well_is_survived_by_a_client_that_retries(
    make_sandbox: Make, emulator: AdminClient
) -> None:
    """The third attempt succeeds, and the ledger shows all three."""
    fault = emulator.fault("POST /v2/sandboxes", status=503, times=2)
    make_sandbox()
    seen = [(entry["status"], entry["fault"]) for entry in creates(emulator)]
    assert seen == [(503, fault), (503, fault), (201, "")]
    assert [(rule["id"], rule["applied"]) for rule in emulator.faults()] == [(fault, 2)]


def test_answer_without_a_body_leaves_the_connection_whole(
    sandbox: Sandbox, emulator: AdminClient, e2b_env: E2BEnvironment
) -> None:
    """A kill that is acknowledged and not carried out: the next request on its connection works."""
    emulator.fault("DELETE /sandboxes/*", status=204)
    env = e2b_env.endpoint.env
    headers = {"X-API-Key": env["E2B_API_KEY"]}
    path = f"/sandboxes/{sandbox.sandbox_id}"
    with httpx.Client(base_url=env["E2B_API_URL"], headers=headers, trust_env=False) as client:
        assert (client.delete(path).status_code, client.delete(path).content) == (204, b"")
        assert client.get(path).status_code == 404


def test_report_tells_how_often_a_client_asked_and_how_long_it_waited(
    make_sandbox: Make, emulator: AdminClient
) -> None:
    """Attempts, what each was answered, and the waits between; Retry-After is obeyed."""
    emulator.fault("POST /v2/sandboxes", status=429, headers={"Retry-After": "1"}, times=1)
    make_sandbox()
    [rule] = emulator.faults()
    [client] = rule["clients"]
    assert (client["request"], client["statuses"]) == ("POST /v2/sandboxes", [429, 201])
    assert 0.9 < client["waits_s"][0] < 60
    emulator.clear_faults()
    emulator.fault("POST /v2/sandboxes", status=503, times=0)
    with pytest.raises(ServiceBusyException):
        make_sandbox()
    [client] = emulator.faults()[0]["clients"]
    assert client["attempts"] == len(client["waits_s"]) + 1 == 4
    assert set(client["statuses"]) == {503}


def test_first_byte_that_is_late_comes_after_the_head(
    sandbox: Sandbox, emulator: AdminClient
) -> None:
    """The answer begins at once; only its body waits."""
    sandbox.files.write("a", "late")
    url = sandbox.download_url("a")
    begun = time.monotonic()
    emulator.fault("GET /files", first_byte_s=0.3)
    assert httpx.get(url, timeout=60).content == b"late"
    assert time.monotonic() - begun > 0.3
    emulator.fault("GET /files", first_byte_s=3600)
    with httpx.stream("GET", url, timeout=60) as answer:  # whose head does not wait so long
        assert answer.status_code == 200
    emulator.fault("GET /files", first_byte_s=30)
    with pytest.raises(Exception, match=r"(?i)time"):
        sandbox.files.read("a", request_timeout=0.3)


def test_truncated_envelope_is_an_error_and_no_end(sandbox: Sandbox, emulator: AdminClient) -> None:
    """The stream ends in good order in the middle of a message."""
    emulator.fault("POST /process.Process/Start", truncate_after_bytes=20)
    with pytest.raises(Exception) as failure:  # noqa: PT011 - its class is the SDK's business
        sandbox.commands.run("seq 10")
    assert not isinstance(failure.value, AssertionError)
    assert sandbox.commands.run("echo well").stdout == "well\n"
    [entry] = [entry for entry in emulator.ledger() if entry["fault"]]
    assert (entry["status"], entry["bytes_out"]) == (200, 20)


def test_hanging_command_is_ended_by_its_deadline(sandbox: Sandbox, emulator: AdminClient) -> None:
    """It runs, says nothing, and meets the timeout; another request is never answered."""
    emulator.fault("POST /process.Process/Start", hang=True)
    hanging = sandbox.commands.run("echo never", background=True)
    assert [process.pid for process in sandbox.commands.list()] == [hanging.pid]
    assert sandbox.commands.run("echo well").stdout == "well\n"
    assert hanging.kill()
    emulator.fault("POST /process.Process/Start", hang=True)
    with pytest.raises(TimeoutException):
        sandbox.commands.run("echo never", timeout=1)
    emulator.fault("GET /sandboxes/*", hang=True)
    with pytest.raises(httpx.TimeoutException):
        sandbox.get_info(request_timeout=0.3)


def test_full_disk_is_told_in_the_services_words(sandbox: Sandbox, emulator: AdminClient) -> None:
    """An upload that finds no room leaves no file."""
    emulator.fault("POST /files", disk_full=True)
    with pytest.raises(NotEnoughSpaceException, match="not enough disk space"):
        sandbox.files.write("big", "x")
    assert not sandbox.files.exists("big")
    sandbox.files.write("big", "x")


def test_fault_without_retries_is_the_sdks_error(make_sandbox: Make, emulator: AdminClient) -> None:
    """Each status becomes the exception that a user would meet."""
    emulator.fault("POST /v2/sandboxes", status=503)
    with pytest.raises(ServiceBusyException):
        make_sandbox(retries=0)
    emulator.fault("POST /v2/sandboxes", status=429, headers={"Retry-After": "7"})
    with pytest.raises(RateLimitException):
        make_sandbox(retries=0)
    emulator.fault("POST /v2/sandboxes", status=500, message="no luck")
    with pytest.raises(SandboxException, match="no luck"):
        make_sandbox(retries=0)
    emulator.fault("POST /v2/sandboxes", status=500, body="<html>not JSON</html>")
    with pytest.raises(json.JSONDecodeError):  # the SDK's own answer to a page for browsers
        make_sandbox(retries=0)


def test_fault_on_the_nth_request_of_one_sandbox(make_sandbox: Make, emulator: AdminClient) -> None:
    """The others, and the requests before, are served."""
    struck, spared = make_sandbox(), make_sandbox()
    emulator.fault("POST /files", sandbox_id=struck.sandbox_id, status=507, skip=1)
    struck.files.write("first", "1")
    spared.files.write("first", "1")
    spared.files.write("second", "2")
    with pytest.raises(Exception, match="injected fault"):
        struck.files.write("second", "2")
    struck.files.write("third", "3")


def test_reset_before_the_answer_is_a_broken_connection(
    sandbox: Sandbox, e2b_env: E2BEnvironment, emulator: AdminClient
) -> None:
    """The client sees a reset, the ledger an open status."""
    emulator.fault("GET /files", reset=True)
    headers = {"E2b-Sandbox-Id": sandbox.sandbox_id, "E2b-Sandbox-Port": "49983"}
    with pytest.raises(httpx.ReadError):
        httpx.get(f"{e2b_env.endpoint.env['E2B_SANDBOX_URL']}/files", headers=headers)
    [entry] = [entry for entry in emulator.ledger() if entry["path"] == "/files"]
    assert entry["status"] is None


def test_cut_in_the_middle_of_a_download_is_not_a_short_file(
    sandbox: Sandbox, emulator: AdminClient
) -> None:
    """Half a file raises; it never looks whole."""
    sandbox.files.write("big", b"x" * 300_000)
    url = sandbox.download_url("big")
    emulator.fault("GET /files", cut_after_bytes=1000)
    with (
        pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)),
        httpx.stream("GET", url, headers={"Accept-Encoding": "identity"}) as answer,
    ):
        for _ in answer.iter_raw():
            pass


def test_cut_in_the_middle_of_a_stream_is_no_end_of_it(
    sandbox: Sandbox, emulator: AdminClient
) -> None:
    """A command whose stream is cut has not ended."""
    emulator.fault("POST /process.Process/Start", cut_after_bytes=60)
    with pytest.raises(Exception) as failure:  # noqa: PT011 - its class is the SDK's business
        sandbox.commands.run("seq 100000")
    assert not isinstance(failure.value, AssertionError)
    assert sandbox.is_running()


def test_vanishing_sandbox_is_gone_for_the_request_and_after(
    sandbox: Sandbox, emulator: AdminClient
) -> None:
    """One to three in a hundred sandboxes do that."""
    emulator.fault("POST /process.Process/Start", vanish=True, skip=1)
    sandbox.commands.run("true")
    with pytest.raises(TimeoutException, match="was not found"):
        sandbox.commands.run("true")
    assert [life["end_reason"] for life in emulator.sandboxes()] == ["fault"]


def test_delay_is_within_the_request(sandbox: Sandbox, emulator: AdminClient) -> None:
    """A slow answer meets the client's own timeout."""
    emulator.fault("GET /sandboxes/*", delay_s=5)
    with pytest.raises(httpx.TimeoutException):
        sandbox.get_info(request_timeout=0.2)
    emulator.clear_faults()
    assert sandbox.get_info().sandbox_id == sandbox.sandbox_id


@pytest.mark.parametrize(
    ("effects", "words"),
    [
        ({}, "nothing happens"),
        ({"status": "503"}, "status is '503'"),
        ({"status": 503, "colour": "red"}, "unknown field 'colour'"),
        ({"status": 503, "times": -1}, "below 0"),
    ],
)
def test_fault_that_makes_no_sense_is_refused(
    emulator: AdminClient, effects: dict[str, Any], words: str
) -> None:
    """A rule that could never strike is a mistake of the test."""
    with pytest.raises(BrokenError, match=words):
        emulator.fault("POST /x", **effects)
    with pytest.raises(BrokenError, match="not 'METHOD /path'"):
        emulator.fault("nonsense", status=500)


def test_ledger_tells_what_was_asked_and_no_secret(
    make_sandbox: Make, e2b_env: E2BEnvironment, emulator: AdminClient
) -> None:
    """Commands, paths, sizes and names of variables; no key, no token, no value."""
    value = "very-" + "secret-" + "value"
    sandbox = make_sandbox(envs={"DB_PASSWORD": value}, metadata={"job": "nightly"})
    sandbox.commands.run(f"echo {value} $OTHER", envs={"OTHER": value[::-1]})
    sandbox.files.write("out.csv", "a,b\n")
    httpx.get(sandbox.download_url("out.csv"))
    text = repr(emulator.ledger())
    token = sandbox._envd_access_token or ""
    assert token
    for secret in (value, value[::-1], e2b_env.api_key.reveal(), token, "v1_"):
        assert secret not in text
    create, start, write, read = asked(emulator)
    assert create["details"]["env_names"] == ["DB_PASSWORD"]
    assert create["details"]["metadata"]["job"] == "nightly"
    assert start["details"]["command"][-1] == "echo [DB_PASSWORD] $OTHER"
    assert write["details"]["files"] == [{"path": "/home/user/out.csv", "size": 4}]
    assert read["query"].startswith("path=out.csv&signature=")
    assert {entry["sandbox_id"] for entry in (create, start, write, read)} == {sandbox.sandbox_id}
    assert create["n"] < start["n"] < write["n"] < read["n"]


def test_ledger_says_whose_a_request_was_and_what_was_not_asked(
    sandbox: Sandbox, e2b_env: E2BEnvironment, emulator: AdminClient, request: pytest.FixtureRequest
) -> None:
    """Run and test of each; what a route's pattern finds, and what it does not."""
    sandbox.commands.run("true")
    [create] = emulator.asked("POST /v2/sandboxes")
    assert create["test"] == request.node.nodeid
    if not request.config.getoption("--e2b-gateway"):  # which stamps a run of its own
        assert create["run"] == create["details"]["metadata"]["harness_run"]
    assert emulator.asked("DELETE *") == []
    assert emulator.asked("* /process.Process/*", sandbox_id="another") == []
    [start] = emulator.asked("* /process.Process/*", sandbox_id=sandbox.sandbox_id)
    # A gateway may still be looking for what an earlier test's lost create has made.
    own = [row for row in emulator.asked("*") if row["test"] == request.node.nodeid]
    assert own == [create, start]
    headers = {"X-API-Key": e2b_env.api_key.reveal(), "X-Harness-Run": "run-another"}
    httpx.get(f"{e2b_env.endpoint.env['E2B_API_URL']}/v2/sandboxes", headers=headers)
    assert "run-another" in [entry["run"] for entry in emulator.asked("GET *")]


def test_ledger_notes_what_was_not_understood(
    e2b_env: E2BEnvironment, emulator: AdminClient
) -> None:
    """An unknown field is accepted, an unknown route refused by name; both are noted."""
    url = e2b_env.endpoint.env["E2B_API_URL"]
    headers = {"X-API-Key": e2b_env.api_key.reveal()}
    body = {"templateID": "base", "brandNew": 1, "timeout": 30, "network": {"denyIn": []}}
    created = httpx.post(f"{url}/v2/sandboxes", headers=headers, json=body, timeout=60)
    refused = httpx.post(f"{url}/quantum/entangle", headers=headers)
    assert created.status_code == 201
    assert refused.status_code == 501
    assert refused.json()["message"] == "the emulator does not serve POST /quantum/entangle"
    inside = {
        "E2b-Sandbox-Id": created.json()["sandboxID"],
        "E2b-Sandbox-Port": "49983",
        "X-Access-Token": created.json()["envdAccessToken"],
    }
    body = {"path": "/", "follow": True}
    sandbox_url = e2b_env.endpoint.env["E2B_SANDBOX_URL"]
    stat = httpx.post(f"{sandbox_url}/filesystem.Filesystem/Stat", headers=inside, json=body)
    assert stat.json()["entry"]["path"] == "/"
    assert [entry["notes"] for entry in asked(emulator)] == [
        ["unknown field 'brandNew'", "unknown field 'denyIn'"],
        ["unknown route POST /quantum/entangle"],
        ["unknown field 'follow'"],
    ]
    httpx.delete(f"{url}/sandboxes/{created.json()['sandboxID']}", headers=headers)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"timeout": 10}, "templateID"),
        ({"templateID": "base", "timeout": "10", "metadata": []}, "32 bits; metadata must"),
        ({"templateID": "base", "metadata": {"a": 1}}, "metadata.a must be a string"),
        ([], "must be a JSON object"),
    ],
)
def test_create_with_a_body_that_does_not_fit_is_refused(
    e2b_env: E2BEnvironment, body: Any, words: str
) -> None:
    """Every problem is named, in JSON with code and message."""
    answer = httpx.post(
        f"{e2b_env.endpoint.env['E2B_API_URL']}/sandboxes",
        headers={"X-API-Key": e2b_env.api_key.reveal()},
        json=body,
    )
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.json()["code"] == 400
    assert words in answer.json()["message"]


def test_admin_interface_needs_its_own_token(
    e2b_env: E2BEnvironment, emulator: AdminClient
) -> None:
    """E2B's key does not open it, and no answer of E2B's interface shows it."""
    assert emulator.sandboxes() == []
    url = f"{e2b_env.endpoint.admin_url}/sandboxes"
    key = e2b_env.api_key.reveal()
    assert httpx.get(url).status_code == 401
    assert httpx.get(url, headers={"X-Harness-Token": key, "X-API-Key": key}).status_code == 401


@pytest.mark.parametrize("seconds", [1e12, -1, float("inf"), float("nan")])
def test_clock_is_not_moved_where_no_date_is(
    sandbox: Sandbox, emulator: AdminClient, seconds: float
) -> None:
    """The refusal leaves the clock, and everything that asks it, as it was."""
    before = emulator.now()
    with pytest.raises(BrokenError, match="advance_s"):
        emulator.advance(seconds)
    assert emulator.now()[:4] == before[:4]
    assert sandbox.is_running()
