"""E2B's rules on the lives of sandboxes, without any sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from scripted_host import ScriptedHost

from harness.clock import ManualClock
from harness.emulator.after_images import AfterImages
from harness.emulator.answers import ApiError
from harness.emulator.catalogue import Catalogue
from harness.emulator.isolation import SandboxHost
from harness.emulator.life import EndReason, NewSandbox, SandboxLife, SandboxState
from harness.emulator.plans import Plan
from harness.emulator.sandboxes import Sandboxes
from harness.emulator.service_clock import ServiceClock

TEMPLATE = Catalogue().get("base")


class Stage:
    """The sandboxes under test and what they stand on."""

    def __init__(self, root: Path, plan: Plan) -> None:
        self.host = ScriptedHost(root)
        self.clock = ServiceClock(ManualClock())
        host = cast("SandboxHost", self.host)
        self.images = AfterImages(host, max_images=2)
        self.sandboxes = Sandboxes(host, self.clock, self.images, plan=plan)

    async def create(self, **options: Any) -> SandboxLife:
        asked = NewSandbox(template=TEMPLATE, **{"timeout_s": 60, **options})
        return await self.sandboxes.create(asked, lambda _: {"stamped": "yes"})


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., None]:
    """Plays a scene on a stage of its own."""

    def run(scene: Callable[[Stage], Awaitable[None]], plan: Plan = Plan.NONE) -> None:
        async def whole() -> None:
            stage = Stage(tmp_path, plan)
            try:
                async with asyncio.timeout(10):
                    await scene(stage)
            finally:
                await stage.sandboxes.close()

        asyncio.run(whole())

    return run


Play = Callable[..., None]


def refused(status: int, words: str) -> Any:
    return pytest.raises(ApiError, match=words, check=lambda error: error.status == status)


def test_create_gives_identity_stamp_and_tokens(play: Play) -> None:
    """The client's metadata stays, the sandbox knows who it is."""

    async def scene(stage: Stage) -> None:
        life = await stage.create(metadata={"a": "1"}, envs={"X": "y", "E2B_SANDBOX": "no"})
        assert dict(life.metadata) == {"a": "1", "stamped": "yes"}
        assert stage.host.started_with["envs"] == {
            "X": "y",
            "E2B_SANDBOX": "true",
            "E2B_SANDBOX_ID": life.sandbox_id,
            "E2B_TEMPLATE_ID": TEMPLATE.template_id,
        }
        assert life.access_token
        assert life.traffic_token is None
        assert (await stage.create(secure=False)).access_token is None
        private = await stage.create(network={"allowPublicTraffic": False})
        assert private.traffic_token

    play(scene)


def test_create_that_does_not_come_up_is_a_500_with_its_code(play: Play) -> None:
    """Nothing is listed of it."""

    async def scene(stage: Stage) -> None:
        stage.host.refuses = True
        with refused(500, "no room") as failure:
            await stage.create()
        assert failure.value.error_code == "sandbox_create_failed"
        assert stage.sandboxes.alive() == ()

    play(scene)


def test_create_past_the_plans_number_is_refused_even_while_others_start(play: Play) -> None:
    """Those that are starting count."""

    async def scene(stage: Stage) -> None:
        stage.host.gate.clear()
        starting = []
        for _ in range(20):
            starting.append(asyncio.create_task(stage.create()))
            await asyncio.sleep(0)
            stage.clock.advance(1)
        with refused(429, "maximum number of concurrent E2B sandboxes \\(20\\)"):
            await stage.create()
        stage.host.gate.set()
        first, *_ = await asyncio.gather(*starting)
        await stage.sandboxes.kill(first.sandbox_id)
        stage.clock.advance(1)
        await stage.create()

    play(scene, Plan.HOBBY)


def test_create_that_a_reset_overtakes_does_not_survive_it(play: Play) -> None:
    """A test's sandbox never turns up in the next test."""

    async def scene(stage: Stage) -> None:
        stage.host.gate.clear()
        creating = asyncio.create_task(stage.create())
        await asyncio.sleep(0)
        await stage.sandboxes.reset()
        stage.host.gate.set()
        with refused(500, "Failed to create"):
            await creating
        assert stage.sandboxes.alive() == ()
        assert stage.host.guests == {}

    play(scene)


def test_timeout_may_shorten_and_refresh_and_connect_may_not(play: Play) -> None:
    """Each counts from now; a refresh is at least 15 seconds."""

    async def scene(stage: Stage) -> None:
        life = await stage.create(timeout_s=100)
        start = life.started_at

        def lives_s() -> float:
            return (life.end_at - start).total_seconds()

        stage.sandboxes.refresh(life.sandbox_id, 50)
        await stage.sandboxes.connect(life.sandbox_id, 50)
        assert lives_s() == 100
        await stage.sandboxes.connect(life.sandbox_id, 200)
        assert lives_s() == 200
        stage.sandboxes.set_timeout(life.sandbox_id, 10)
        assert lives_s() == 10
        stage.sandboxes.refresh(life.sandbox_id, 1)
        assert lives_s() == 15
        stage.sandboxes.set_timeout(life.sandbox_id, -5)
        assert lives_s() == 0

    play(scene)


def test_life_ends_at_the_plans_longest_whatever_is_asked(play: Play) -> None:
    """An hour for hobby, counted from the start."""

    async def scene(stage: Stage) -> None:
        life = await stage.create(timeout_s=3600)
        stage.clock.advance(1800)
        stage.sandboxes.set_timeout(life.sandbox_id, 3600)
        assert life.end_at - life.started_at == timedelta(hours=1)

    play(scene, Plan.HOBBY)


def test_expiry_ends_what_is_due_and_nothing_else(play: Play) -> None:
    """In the order of their ends, at the instant and not before."""

    async def scene(stage: Stage) -> None:
        short, long = await stage.create(timeout_s=10), await stage.create(timeout_s=20)
        expiry = asyncio.create_task(stage.sandboxes.run_expiry())
        stage.clock.advance(9.5)
        await stage.sandboxes.expire_due()
        assert short.running
        stage.clock.advance(0.5)
        await stage.host.guests[short.sandbox_id].wait_dead()
        assert (short.state, short.end_reason) == (SandboxState.KILLED, EndReason.TIMEOUT)
        assert long.running
        stage.sandboxes.set_timeout(long.sandbox_id, 0)
        await stage.host.guests[long.sandbox_id].wait_dead()
        expiry.cancel()

    play(scene)


def test_auto_pause_is_instead_of_the_end_and_stops_the_clock(play: Play) -> None:
    """A paused sandbox does not expire; resuming gives it a new life."""

    async def scene(stage: Stage) -> None:
        life = await stage.create(timeout_s=10, auto_pause=True)
        stage.clock.advance(10)
        await stage.sandboxes.expire_due()
        assert life.state is SandboxState.PAUSED
        stage.clock.advance(10_000)
        await stage.sandboxes.expire_due()
        assert life.state is SandboxState.PAUSED
        resumed, was_paused = await stage.sandboxes.connect(life.sandbox_id, 30)
        assert was_paused
        assert resumed.running
        assert resumed.end_at == stage.clock.now() + timedelta(seconds=30)

    play(scene)


def test_paused_one_is_paused_once_and_has_no_timeout(play: Play) -> None:
    """A second pause is a conflict; to what prolongs lives it is not there, as in the service."""

    async def scene(stage: Stage) -> None:
        life = await stage.create()
        await stage.sandboxes.pause(life.sandbox_id)
        with refused(409, "already paused"):
            await stage.sandboxes.pause(life.sandbox_id)
        for prolong in (stage.sandboxes.set_timeout, stage.sandboxes.refresh):
            with refused(404, "doesn't exist"):
                prolong(life.sandbox_id, 10)
        await stage.sandboxes.resume(life.sandbox_id, 10)
        with refused(409, "already running"):
            await stage.sandboxes.resume(life.sandbox_id, 10)

    play(scene)


def test_paused_one_ends_where_it_was_paused_and_begins_anew(play: Play) -> None:
    """The end that a listing shows is the pause; a resume may change what its timeout does."""

    async def scene(stage: Stage) -> None:
        life = await stage.create(timeout_s=500)
        stage.clock.advance(20)
        await stage.sandboxes.pause(life.sandbox_id)
        assert life.end_at == stage.clock.now()
        await stage.sandboxes.resume(life.sandbox_id, 10, auto_pause=True)
        assert life.end_at == stage.clock.now() + timedelta(seconds=10)
        stage.clock.advance(11)
        await stage.sandboxes.expire_due()
        assert life.state is SandboxState.PAUSED

    play(scene)


def test_timeout_while_it_is_being_paused_is_a_conflict(play: Play) -> None:
    """A sandbox in change says so, and is not taken for one that is gone."""

    async def scene(stage: Stage) -> None:
        life = await stage.create()
        async with life.changing:
            life.state = SandboxState.PAUSED
            with refused(409, "is being paused"):
                stage.sandboxes.set_timeout(life.sandbox_id, 10)

    play(scene)


def test_auto_resume_needs_permission_and_memory(play: Play) -> None:
    """Traffic wakes only what its creator allowed; it then lives at least 300 seconds."""

    async def scene(stage: Stage) -> None:
        allowed, denied = await stage.create(auto_resume=True), await stage.create()
        for life in (allowed, denied):
            await stage.sandboxes.pause(life.sandbox_id)
        assert await stage.sandboxes.auto_resume(allowed)
        assert allowed.end_at - stage.clock.now() == timedelta(seconds=300)
        assert not await stage.sandboxes.auto_resume(denied)
        await stage.sandboxes.pause(allowed.sandbox_id, memory=False)
        assert not await stage.sandboxes.auto_resume(allowed)

    play(scene)


def test_sandbox_that_dies_by_itself_is_gone_with_its_reason(play: Play) -> None:
    """One that the machine ended is not listed as running."""

    async def scene(stage: Stage) -> None:
        life = await stage.create()
        stage.host.guests[life.sandbox_id].died.set()
        for _ in range(5):  # turns of the loop: the watcher wakes, kills, keeps
            await asyncio.sleep(0)
        assert life.end_reason is EndReason.DIED
        with refused(404, "doesn't exist"):
            await stage.sandboxes.kill(life.sandbox_id)

    play(scene)


def test_after_images_are_kept_within_bounds_and_dropped_on_reset(play: Play) -> None:
    """The oldest goes first; a reset leaves none."""

    async def scene(stage: Stage) -> None:
        lives = [await stage.create() for _ in range(3)]
        for number, life in enumerate(lives):
            (life.guest.files.root / "home/user/f").write_bytes(b"x" * number)
            await stage.sandboxes.kill(life.sandbox_id)
            stage.clock.advance(1)
            await stage.images.measure(life.sandbox_id)
        kept = [(image.sandbox_id, image.size_bytes, image.files) for image in stage.images.list()]
        assert kept == [(lives[1].sandbox_id, 1, 1), (lives[2].sandbox_id, 2, 1)]
        assert lives[0].sandbox_id in stage.host.discarded
        await stage.sandboxes.reset()
        assert stage.images.list() == ()
        assert stage.sandboxes.dead() == ()
        assert stage.host.guests == {}

    play(scene)


def test_agent_that_does_not_answer_is_paused_only_with_its_processes(play: Play) -> None:
    """A pause of files alone, or one that asks for health, is refused; so is such a resume."""

    async def scene(stage: Stage) -> None:
        life = await stage.create()
        stage.host.guests[life.sandbox_id].answers = False
        for options in ({"memory": False}, {"healthy": True}):
            with pytest.raises(ApiError) as refusal:
                await stage.sandboxes.pause(life.sandbox_id, **options)
            assert refusal.value.status == 503
        assert life.running
        await stage.sandboxes.pause(life.sandbox_id)
        assert (life.state, life.unresponsive_at_pause) == (SandboxState.PAUSED, True)
        assert not await stage.sandboxes.auto_resume(life)
        with pytest.raises(ApiError) as refusal:
            await stage.sandboxes.resume(life.sandbox_id, 60)
        code = "sandbox_snapshot_guest_agent_unresponsive"
        assert (refusal.value.status, refusal.value.error_code) == (409, code)
        await stage.sandboxes.resume(life.sandbox_id, 60, memory=False)
        assert life.running
        assert not life.unresponsive_at_pause

    play(scene)
