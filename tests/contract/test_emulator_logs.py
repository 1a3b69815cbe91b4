"""What the service logs of a sandbox, by both versions of the route."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from e2b import Sandbox
from guest_lab import eventually

from harness.emulator.attach import AdminClient
from harness.model.side import Endpoint


@pytest.fixture
def api(e2b_endpoint: Endpoint, emulator: AdminClient) -> Iterator[httpx.Client]:
    """The API over HTTP: no SDK asks for logs, the command line does."""
    del emulator  # only an emulator's words are known by heart
    headers = {"X-API-Key": e2b_endpoint.env["E2B_API_KEY"]}
    url = e2b_endpoint.env["E2B_API_URL"]
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        yield client


def _lines(api: httpx.Client, sandbox_id: str, **query: Any) -> list[dict[str, Any]]:
    answer = api.get(f"/sandboxes/{sandbox_id}/logs", params=query).json()
    return [json.loads(row["line"]) for row in answer["logs"]]


def test_logs_tell_a_sandboxs_life_and_its_processes(sandbox: Sandbox, api: httpx.Client) -> None:
    """From the create to the kill, in order, and readable after that."""
    sandbox.commands.run("printf 12345; printf 12 >&2; exit 0")
    sandbox.files.exists("nothing")
    sandbox.kill()
    lines = _lines(api, sandbox.sandbox_id)
    told = [line["message"] for line in lines]
    pid = next(line["pid"] for line in lines if "pid" in line)
    in_order = [
        "Started creating sandbox",
        "Sandbox created",
        "Process start (server stream start)",
        f"Process with pid {pid} started",
        f"Process with pid {pid} ended",
        "Filesystem stat",
        "Killing sandbox",
    ]
    # Once each: a gateway that stands in front runs a process of its own before the kill.
    assert [message for message in dict.fromkeys(told) if message in in_order] == in_order
    ended = next(line for line in lines if line.get("event_type") == "process_end")
    assert (ended["stdout_bytes"], ended["stderr_bytes"]) == (5, 2)
    assert ended["process_result"] == {"exited": True, "status": "exit status 0"}
    assert lines[-1]["kill_reason"] == "request"
    assert {line["instanceID"] for line in lines} == {sandbox.sandbox_id}
    assert _lines(api, "iunknown") == []


def test_logs_tell_the_end_of_a_process_without_its_client(
    sandbox: Sandbox, api: httpx.Client
) -> None:
    """A client that leaves does not take the line of the end along."""
    handle = sandbox.commands.run("read line; printf bye; exit 3", background=True, stdin=True)
    handle.disconnect()
    sandbox.commands.send_stdin(handle.pid, "on\n")

    def found() -> list[dict[str, Any]]:
        return [line for line in _lines(api, sandbox.sandbox_id) if line.get("pid") == handle.pid]

    eventually(lambda: len(found()) == 2)
    assert found()[1]["process_result"] == {
        "exit_code": 3,
        "exited": True,
        "status": "exit status 3",
        "error": "exit status 3",
    }


def test_logs_v2_are_filtered_and_go_either_way(
    sandbox: Sandbox, api: httpx.Client, emulator: AdminClient
) -> None:
    """By level and words, the newest first unless told otherwise, from a cursor on."""
    sandbox.commands.run("true")
    with pytest.raises(Exception, match="path"):
        sandbox.files.list("/missing")
    path = f"/v2/sandboxes/{sandbox.sandbox_id}/logs"

    def ask(**query: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = api.get(path, params=query).json()["logs"]
        return found

    forward, backward = ask(direction="forward"), ask()
    assert forward == backward[::-1]
    assert [entry["message"] for entry in ask(level="error")] == ["Filesystem listDir"]
    started = ask(search="with pid", direction="forward")
    assert [entry["fields"]["event_type"] for entry in started] == ["process_start", "process_end"]
    assert all(isinstance(value, str) for value in started[0]["fields"].values())
    assert "process_result" not in started[1]["fields"]
    assert ask(limit=1) == backward[:1]
    emulator.advance(8 * 24 * 3600 - 100)
    assert api.get(f"/sandboxes/{sandbox.sandbox_id}/logs").json()["logs"][0]["line"]
    assert api.get(path, params={"limit": 1001}).status_code == 400
    assert api.get(path, params={"direction": "up"}).status_code == 400
