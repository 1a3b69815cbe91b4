"""The sandboxes of one emulator: E2B's rules on their lives, and no HTTP.

Source: e2b-dev/infra packages/api/internal/handlers (sandbox_create, sandbox_connect,
sandbox_timeout, sandbox_refresh, sandbox_pause, sandbox_kill) and
packages/api/internal/orchestrator/keep_alive.go.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from harness.emulator.after_images import AfterImages
from harness.emulator.answers import ApiError
from harness.emulator.chronicle import Chronicle
from harness.emulator.credentials import new_id, new_token
from harness.emulator.egress import describe_egress, replace_rules
from harness.emulator.internet import Internet
from harness.emulator.isolation import Network, Sandbox, SandboxHost
from harness.emulator.life import EndReason, Happening, NewSandbox, SandboxLife, SandboxState
from harness.emulator.plans import CreationRate, Plan
from harness.emulator.service_clock import ServiceClock
from harness.emulator.starts import Starts
from harness.emulator.volumes import Volumes

__all__ = ["Sandboxes", "no_such_sandbox"]

_NO_INTERNET = Internet()
SHORTEST_REFRESH_S = 15
SHORTEST_AUTO_RESUME_S = 300
_KILL_REASONS = {EndReason.REQUEST: "request", EndReason.TIMEOUT: "timeout"}


def no_such_sandbox(sandbox_id: str) -> ApiError:
    """The API's refusal of an id that it does not know."""
    return ApiError(404, f"Sandbox \"{sandbox_id}\" doesn't exist or you don't have access to it")


class Sandboxes:
    """Creates, keeps and ends sandboxes.

    Args:
        host: starts and isolates them.
        clock: the service's clock; `endAt` is measured by it.
        after_images: keeps the files of those that ended.
        plan: what the team may do.
        network: what every sandbox can reach.
        interpreter: whether sandboxes of the code interpreter's template run code; their
            environment then holds what that needs.
        volumes: what they may mount.
        internet: what stands for the internet; where it has no host, there is none.
        chronicle: is told what happens to them.
        secret: the value of a secret's name, for what their requests are to carry.

    Attributes:
        starts: how they come up.
        chronicle: see above.
    """

    def __init__(
        self,
        host: SandboxHost,
        clock: ServiceClock,
        after_images: AfterImages,
        *,
        plan: Plan = Plan.NONE,
        network: Network = Network.NONE,
        interpreter: bool = False,
        volumes: Volumes | None = None,
        internet: Internet = _NO_INTERNET,
        chronicle: Chronicle | None = None,
        secret: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self.clock = clock
        self.limits = plan.limits
        self._host = host
        self._after_images = after_images
        self.chronicle = chronicle or Chronicle(clock)
        self.interpreter = interpreter
        self.starts = Starts(
            host,
            network=network,
            interpreter=interpreter,
            volumes=volumes,
            internet=internet,
            keep=self._keep,
            secret=secret,
        )
        self._rate = CreationRate(clock, self.limits)
        self._alive: dict[str, SandboxLife] = {}
        self._dead: dict[str, SandboxLife] = {}
        self._starting = 0
        self._generation = 0
        self._tasks: set[asyncio.Task[None]] = set()

    # Looking

    def alive(self) -> tuple[SandboxLife, ...]:
        """Every running or paused sandbox."""
        return tuple(self._alive.values())

    def dead(self) -> tuple[SandboxLife, ...]:
        """Every sandbox that ended since the last reset, in that order."""
        return tuple(self._dead.values())

    def find(self, sandbox_id: str) -> SandboxLife | None:
        """A running or paused sandbox; None where there is none of that id."""
        return self._alive.get(sandbox_id)

    def get(self, sandbox_id: str) -> SandboxLife:
        """A running or paused sandbox.

        Raises:
            ApiError: 404 where there is none of that id.
        """
        life = self._alive.get(sandbox_id)
        if life is None:
            raise no_such_sandbox(sandbox_id)
        return life

    # Beginning

    async def create(
        self, asked: NewSandbox, stamp: Callable[[NewSandbox], Mapping[str, str]]
    ) -> SandboxLife:
        """A new running sandbox.

        Args:
            asked: what the request asks for.
            stamp: what the emulator adds to the metadata, asked once the request is accepted.

        Raises:
            ApiError: 429 past the plan's limits, 500 where it does not come up.
        """
        self._check_concurrency()
        self._rate.take()
        generation = self._generation
        sandbox_id = new_id("i")
        self._starting += 1
        self.chronicle.starting(sandbox_id, asked.template.template_id)
        try:
            guest = await self.starts.start(sandbox_id, asked)
        finally:
            self._starting -= 1
        if generation != self._generation:
            await self._host.discard(sandbox_id)
            raise ApiError(500, "Failed to create sandbox", error_code="sandbox_create_failed")
        now = self.clock.now()
        life = SandboxLife(
            sandbox_id=sandbox_id,
            asked=asked,
            metadata={**asked.metadata, **stamp(asked)},
            guest=guest,
            started_at=now,
            end_at=now + timedelta(seconds=asked.timeout_s),
            access_token=new_token() if asked.secure else None,
            traffic_token=None if asked.public_traffic else new_token(),
        )
        self._alive[sandbox_id] = life
        self.chronicle.tell(Happening.CREATED, life)
        self._spawn(self._watch(life, guest))
        self.clock.wake()
        return life

    def _check_concurrency(self) -> None:
        most = self.limits.concurrency
        running = sum(life.running for life in self._alive.values()) + self._starting
        if most is not None and running >= most:
            raise ApiError(
                429,
                f"you have reached the maximum number of concurrent E2B sandboxes ({most}). "
                "If you need more, please visit 'https://e2b.dev/docs/billing'",
            )

    # Living

    def set_timeout(self, sandbox_id: str, timeout_s: int) -> None:
        """Has the sandbox end so many seconds from now, sooner or later than before.

        Raises:
            ApiError: 404 where it is gone or paused, 409 where it is being paused.
        """
        self._keep_alive(sandbox_id, max(0, timeout_s), shorten=True)

    def refresh(self, sandbox_id: str, duration_s: int) -> None:
        """Lets the sandbox live so many seconds more, at least 15; never shortens.

        Raises:
            ApiError: 404 where it is gone or paused, 409 where it is being paused.
        """
        self._keep_alive(sandbox_id, max(SHORTEST_REFRESH_S, duration_s), shorten=False)

    async def connect(
        self, sandbox_id: str, timeout_s: int, *, memory: bool = True
    ) -> tuple[SandboxLife, bool]:
        """The sandbox, resumed where it was paused, and living at least so many seconds.

        Returns:
            The sandbox, and whether it was resumed.

        Raises:
            ApiError: 404 where it is gone, 429 where the plan allows no more running ones, 409
                where only a boot from its files can resume it, and that was not asked for.
        """
        life = self.get(sandbox_id)
        async with life.changing:
            if not life.running:
                await self._resume(life, timeout_s, memory=memory)
                return life, True
        self._keep_alive(sandbox_id, timeout_s, shorten=False)
        return life, False

    async def resume(
        self,
        sandbox_id: str,
        timeout_s: int,
        *,
        memory: bool = True,
        auto_pause: bool | None = None,
    ) -> SandboxLife:
        """Lets a paused sandbox run again, with a new life.

        Args:
            sandbox_id: the sandbox.
            timeout_s: how long it lives from now on.
            memory: False starts it anew from its files, even where its processes were kept.
            auto_pause: whether its timeout pauses it from now on; None leaves that as it was.

        Raises:
            ApiError: 404 where it is gone, 409 where it runs or only a boot from its files can
                resume it, 429 past the plan's limit.
        """
        life = self.get(sandbox_id)
        async with life.changing:
            if life.running:
                raise ApiError(409, f"Sandbox {sandbox_id} is already running")
            await self._resume(life, timeout_s, memory=memory)
            if auto_pause is not None:
                life.asked = replace(life.asked, auto_pause=auto_pause)
        return life

    async def _resume(self, life: SandboxLife, timeout_s: int, *, memory: bool) -> None:
        if self.find(life.sandbox_id) is not life:
            raise no_such_sandbox(life.sandbox_id)
        if memory and life.unresponsive_at_pause:
            raise ApiError(
                409,
                "The sandbox's guest agent did not respond when the sandbox was paused",
                error_code="sandbox_snapshot_guest_agent_unresponsive",
            )
        self._check_concurrency()
        template_id = life.asked.template.template_id
        self.chronicle.starting(life.sandbox_id, template_id, anew=True)
        if memory and life.paused_memory:
            await life.guest.resume()
        else:
            await self._reboot(life)
        life.state = SandboxState.RUNNING
        life.unresponsive_at_pause = False
        # Source: e2b-dev/infra sandboxes_list.go: a resumed sandbox lists a new start.
        life.started_at = self.clock.now()
        life.end_at = life.started_at + timedelta(seconds=timeout_s)
        self.chronicle.tell(Happening.RESUMED, life)
        self.clock.wake()

    async def _reboot(self, life: SandboxLife) -> None:
        life.paused_memory = False  # its processes' end is not its own
        life.guest = await self.starts.restart(life.sandbox_id, life.asked)
        self._spawn(self._watch(life, life.guest))

    async def auto_resume(self, life: SandboxLife) -> bool:
        """Resumes a paused sandbox for traffic, where its creator allowed that."""
        if not life.asked.auto_resume or not life.paused_memory or life.unresponsive_at_pause:
            return False
        async with life.changing:  # of many requests at once the first resumes
            if self.find(life.sandbox_id) is not life:
                return False
            if not life.running:
                timeout_s = max(SHORTEST_AUTO_RESUME_S, life.asked.timeout_s)
                await self._resume(life, timeout_s, memory=True)
        return True

    async def pause(self, sandbox_id: str, *, memory: bool = True, healthy: bool = False) -> None:
        """Pauses a running sandbox; its life stops counting.

        Args:
            sandbox_id: the sandbox.
            memory: True freezes its processes; False ends them and keeps its files.
            healthy: refuses where the sandbox's agent does not answer; so does a pause
                without memory.

        Raises:
            ApiError: 404 where it is gone, 409 where it is paused already, 503 see `healthy`.
        """
        life = self.get(sandbox_id)
        async with life.changing:
            self.get(sandbox_id)
            if not life.running:
                raise ApiError(
                    409, f"Error pausing sandbox - sandbox '{sandbox_id}' is already paused"
                )
            answers = await life.guest.healthy()
            if not answers and (healthy or not memory):
                raise ApiError(503, f"The guest agent of sandbox '{sandbox_id}' does not respond")
            life.state = SandboxState.PAUSED
            # Source: e2b-dev/infra sandbox_get.go: of a paused one, the end is its pause.
            life.end_at = self.clock.now()
            life.paused_memory, life.unresponsive_at_pause = memory, not answers
            self.chronicle.tell(Happening.PAUSED, life)
            self._reset_exchanges(life)
            if memory:
                await life.guest.pause(asks_agent=answers)
            else:
                await life.guest.kill()

    def update_network(self, sandbox_id: str, update: Mapping[str, Any]) -> None:
        """Gives a sandbox other rules on what it reaches; connections that stand go on.

        Source: e2b-dev/infra packages/orchestrator/pkg/sandbox/network/firewall.go (packets of
        established connections are accepted before any rule) and pkg/tcpfirewall/handlers.go
        (a name is decided on when its connection is made).

        Raises:
            ApiError: 404 where it is gone, 400 where the update does not fit.
        """
        life = self.get(sandbox_id)
        life.asked = replace_rules(life.asked, update)
        self.starts.set_rules(sandbox_id, life.asked)
        self.chronicle.tell(Happening.UPDATED, life, network_egress=describe_egress(life.asked))

    def _keep_alive(self, sandbox_id: str, duration_s: float, *, shorten: bool) -> None:
        life = self.get(sandbox_id)
        if not life.running:
            # Source: e2b-dev/infra packages/api/internal/orchestrator/keep_alive.go: the store
            # that it asks has running ones only, and those that are on their way out of it.
            if life.changing.locked():
                raise ApiError(409, f'Sandbox "{sandbox_id}" is being paused')
            raise no_such_sandbox(sandbox_id)
        now = self.clock.now()
        latest = life.started_at + timedelta(seconds=self.limits.longest_life_s)
        end_at = min(now + timedelta(seconds=duration_s), latest)
        if now > latest:
            raise ApiError(400, "Max instance length exceeded")
        if shorten or end_at > life.end_at:
            life.end_at = end_at
            self.chronicle.tell(Happening.UPDATED, life, set_timeout=f"{end_at:%Y-%m-%dT%H:%M:%SZ}")
            self.clock.wake()

    # Ending

    async def kill(self, sandbox_id: str, reason: EndReason = EndReason.REQUEST) -> None:
        """Ends a sandbox; its streams are reset and its files kept as an after-image.

        Raises:
            ApiError: 404 where it is gone.
        """
        life = self.get(sandbox_id)
        # Gone for every new request before the first stream breaks: a client whose
        # stream breaks asks for /health at once.
        was_running = life.running
        life.state = SandboxState.KILLED
        life.ended_at = self.clock.now()
        life.end_reason = reason
        del self._alive[sandbox_id]
        self.starts.forget(sandbox_id)
        self._dead[sandbox_id] = life
        why = _KILL_REASONS.get(reason, "unknown")
        self.chronicle.tell(Happening.KILLED, life, was_running=was_running, kill_reason=why)
        self._reset_exchanges(life)
        await life.guest.kill()
        self._after_images.keep(life)
        self._spawn(self._after_images.measure(sandbox_id))

    async def reset(self) -> None:
        """Ends every sandbox and forgets all that ended, after-images included."""
        self._generation += 1
        await asyncio.gather(*(self._end_quietly(i, EndReason.RESET) for i in [*self._alive]))
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._after_images.clear()
        self._dead.clear()
        self.starts.reset()
        self._rate = CreationRate(self.clock, self.limits)

    async def close(self) -> None:
        """Ends what runs in the background; the host ends the sandboxes."""
        self._generation += 1
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def run_expiry(self) -> None:
        """Ends each sandbox when it is due; runs until cancelled."""
        while True:
            await self.expire_due()
            ends = (life.end_at for life in self._alive.values() if life.running)
            await self.clock.until(min(ends, default=None))

    async def expire_due(self) -> None:
        """Ends every sandbox that is due; returns when that has happened."""
        now = self.clock.now()
        due = [life for life in self._alive.values() if life.running and life.end_at <= now]
        await asyncio.gather(*(self._expire(life) for life in due))

    async def _expire(self, life: SandboxLife) -> None:
        with contextlib.suppress(ApiError):  # it may have gone another way meanwhile
            if life.asked.auto_pause:
                await self.pause(life.sandbox_id, memory=life.asked.auto_pause_memory)
            else:
                await self.kill(life.sandbox_id, EndReason.TIMEOUT)

    async def _watch(self, life: SandboxLife, guest: Sandbox) -> None:
        await guest.wait_dead()
        if life.guest is not guest or (not life.running and not life.paused_memory):
            return  # paused without its processes, or started anew
        await self._end_quietly(life.sandbox_id, EndReason.DIED)

    async def _end_quietly(self, sandbox_id: str, reason: EndReason) -> None:
        if sandbox_id in self._alive:
            await self.kill(sandbox_id, reason)

    def _reset_exchanges(self, life: SandboxLife) -> None:
        for exchange in tuple(life.exchanges):
            exchange.reset_if_streaming()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._keep(asyncio.create_task(work))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
