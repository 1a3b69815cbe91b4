"""What sandboxes use, over time, and how many of them there were."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise

import httpx
import pytest
from e2b import AsyncSandbox, Sandbox

from harness.emulator.attach import AdminClient
from harness.model.side import Endpoint


def test_metrics_cover_the_time_that_was_asked_for(sandbox: Sandbox, emulator: AdminClient) -> None:
    """A point each five seconds of a minute, and none outside the sandbox's life."""
    before = sandbox.get_info().started_at
    first = sandbox.get_metrics()[0]
    emulator.advance(60)
    asked = [point.timestamp for point in sandbox.get_metrics()]
    sandbox.kill()
    # No point is added to those of a sandbox that has ended.
    points = Sandbox.get_metrics(sandbox.sandbox_id)
    times = [point.timestamp for point in points]
    assert times[: len(asked)] == asked
    step = timedelta(seconds=5)
    assert {after - at for at, after in pairwise(times)} == {step}
    assert before - step < times[0]
    assert times[0] + timedelta(seconds=55) <= times[-1]
    assert times[-1] <= datetime.fromisoformat(emulator.now())
    assert {point.mem_total for point in points} == {first.mem_total}
    middle = times[0] + timedelta(seconds=31)
    late = Sandbox.get_metrics(sandbox.sandbox_id, start=middle)
    assert [point.timestamp for point in late] == times[-len(late) :]
    assert len(late) < len(points)
    assert Sandbox.get_metrics(sandbox.sandbox_id, end=before - timedelta(hours=1)) == []


@pytest.mark.usefixtures("emulator")
def test_metrics_are_those_of_the_sandboxs_processes(sandbox: Sandbox) -> None:
    """Memory and processor time that a process of the sandbox takes are seen."""
    begun = time.monotonic()
    idle = sandbox.get_metrics()[-1]
    hold = "b = bytearray(200 * 2**20); print('held', flush=True); input()"
    command = sandbox.commands.run(f'python3 -c "{hold}"', background=True, stdin=True)
    for out, _, _ in command:
        assert out == "held\n"
        break
    sandbox.commands.run("python3 -c 'import time\nwhile time.process_time() < 1: pass'")
    points = sandbox.get_metrics()
    took_s = time.monotonic() - begun
    assert points[-1].mem_used - idle.mem_used > 150 * 2**20
    # A second of one processor, however long it had to wait for that.
    assert max(point.cpu_used_pct for point in points) / 100 * idle.cpu_count * took_s > 0.9


@pytest.mark.usefixtures("e2b_env", "emulator")
def test_metrics_are_had_by_the_async_client_too() -> None:
    """The async SDK reads the same points."""

    async def ask() -> None:
        sandbox = await AsyncSandbox.create(timeout=120)
        assert [point.cpu_count for point in await sandbox.get_metrics()] != []
        await sandbox.kill()

    asyncio.run(ask())


@pytest.fixture
def api(e2b_endpoint: Endpoint, emulator: AdminClient) -> Iterator[httpx.Client]:
    """The API over HTTP, of an emulator that has just been reset."""
    emulator.reset()
    headers = {"X-API-Key": e2b_endpoint.env["E2B_API_KEY"]}
    url = e2b_endpoint.env["E2B_API_URL"]
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        yield client


def test_team_metrics_count_what_ran_at_a_time(
    make_sandbox: Callable[..., Sandbox], api: httpx.Client, emulator: AdminClient
) -> None:
    """Starts and concurrent sandboxes by step, and the greatest of both."""
    sandboxes = [make_sandbox(timeout=600) for _ in range(3)]
    team = api.get(f"/events/sandboxes/{sandboxes[0].sandbox_id}").json()[0]["sandboxTeamId"]
    emulator.advance(60)
    sandboxes[0].kill()
    sandboxes[1].pause()
    emulator.advance(60)
    points = api.get(f"/teams/{team}/metrics", params={"start": _ago(emulator, 600)}).json()
    assert points[0]["concurrentSandboxes"] <= 3
    assert max(point["concurrentSandboxes"] for point in points) == 3
    assert points[-1]["concurrentSandboxes"] == 1
    assert sum(point["sandboxStartRate"] * 5 for point in points) == pytest.approx(3)
    most = api.get(f"/teams/{team}/metrics/max", params={"metric": "concurrent_sandboxes"}).json()
    assert most["value"] == 3
    rate = api.get(f"/teams/{team}/metrics/max", params={"metric": "sandbox_start_rate"}).json()
    assert 0 < rate["value"] <= 3 / 5
    assert api.get("/teams/another/metrics").status_code == 403
    assert api.get(f"/teams/{team}/metrics/max").status_code == 400


def _ago(emulator: AdminClient, seconds: float) -> int:
    return int(datetime.fromisoformat(emulator.now()).timestamp() - seconds)


def test_events_tell_what_a_sandbox_went_through(
    make_sandbox: Callable[..., Sandbox], api: httpx.Client, emulator: AdminClient
) -> None:
    """Each change with its data, the newest first; by sandbox, by kind, in pages."""
    sandbox, other = make_sandbox(metadata={"who": "me"}, timeout=60), make_sandbox()
    sandbox.set_timeout(100)
    sandbox.pause()
    sandbox = sandbox.connect(timeout=50)
    sandbox.create_snapshot()
    emulator.advance(51)
    path = f"/events/sandboxes/{sandbox.sandbox_id}"
    events = api.get(path, params={"orderAsc": "true"}).json()
    kinds = [event["type"].removeprefix("sandbox.lifecycle.") for event in events]
    assert kinds == ["created", "updated", "paused", "resumed", "checkpointed", "killed"]
    assert [e["id"] for e in api.get(path).json()] == [e["id"] for e in reversed(events)]
    assert events[0]["eventData"]["sandbox_metadata"]["who"] == "me"
    assert events[-1]["eventData"]["kill_reason"] == "timeout"
    resumed, killed_at = (datetime.fromisoformat(events[n]["timestamp"]) for n in (3, -1))
    lasted_ms = (killed_at - resumed).total_seconds() * 1000
    execution = events[-1]["eventData"]["execution"]
    assert execution["execution_time"] == pytest.approx(lasted_ms, abs=2)
    assert lasted_ms >= 50_000
    executions = [event["sandboxExecutionId"] for event in events]
    assert executions[0] == executions[2] != executions[3] == executions[5]
    killed = api.get("/events/sandboxes", params={"types": "sandbox.lifecycle.killed"}).json()
    assert [event["sandboxId"] for event in killed] == [sandbox.sandbox_id]
    assert other.sandbox_id in {e["sandboxId"] for e in api.get("/events/sandboxes").json()}
    assert api.get(path, params={"limit": 1, "offset": 5}).json()[0]["type"].endswith("created")
    assert api.get(path, params={"types": "sandbox.burnt"}).status_code == 400
