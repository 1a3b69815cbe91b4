"""Owns every sandbox of one server: the pool, the folders, the ends."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import uuid
from collections import defaultdict, deque
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.emulator.isolation.after_image import AfterImage
from harness.emulator.isolation.agent_code import install_agent
from harness.emulator.isolation.bubblewrap import Bubblewrap, explain_refusal
from harness.emulator.isolation.launch import LauncherProcess
from harness.emulator.isolation.layout import AGENT_FOLDER, Layout
from harness.emulator.isolation.model import (
    IsolationMode,
    Limits,
    Network,
    SandboxGoneError,
)
from harness.emulator.isolation.process_mode import ProcessMode
from harness.emulator.isolation.sandbox import Sandbox
from harness.emulator.templates import TemplateEnvironment, bare_environment
from harness.errors import BrokenError

__all__ = ["SandboxHost"]

_START_TIMEOUT_S = 30.0
_DEFAULT_LIMITS = Limits()

_Kind = tuple[Path, Network]


class SandboxHost:
    """Starts sandboxes and ends them; an async context manager.

    Args:
        state_dir: the folder for the sandboxes' files; made where it is missing.
        mode: what isolates them.
        templates: the environment of each template's name; a name that is missing here gets
            `default_template` where that is given, else a bare Python.
        default_template: see `templates`.
        pool_size: how many anonymous sandboxes wait ready.
        pool_network: the network that those are started with.
        limits: bounds of each sandbox.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        mode: IsolationMode = IsolationMode.BUBBLEWRAP,
        templates: Mapping[str, TemplateEnvironment] | None = None,
        default_template: TemplateEnvironment | None = None,
        pool_size: int = 2,
        pool_network: Network = Network.NONE,
        limits: Limits = _DEFAULT_LIMITS,
    ) -> None:
        self._state_dir = state_dir.resolve()
        self._mode = mode
        self._templates = dict(templates or {})
        self._default_template = default_template
        # Without namespaces a sandbox knows its folder by name, so that it cannot be renamed.
        self._pool_size = pool_size if mode is IsolationMode.BUBBLEWRAP else 0
        self._pool_network = pool_network
        self._limits = limits
        self._kinds: dict[_Kind, Bubblewrap | ProcessMode] = {}
        self._agents: dict[Path, Path] = {}
        self._pool: dict[_Kind, deque[Sandbox]] = defaultdict(deque)
        self._refills: set[asyncio.Task[None]] = set()
        self._sandboxes: dict[str, Sandbox] = {}
        self._launcher: LauncherProcess
        self._closing = False

    async def __aenter__(self) -> Self:
        """Opens the host and fills the pool.

        Raises:
            BrokenError: this machine cannot isolate a sandbox in the chosen way.
        """
        self._state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._launcher = await LauncherProcess.open()
        try:
            kind = await asyncio.to_thread(self._kind, "base", self._pool_network)
            if self._pool_size:
                self._pool[kind].append(await self._boot(kind, _anonymous()))
                self._refill(kind)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Kills every sandbox; deletes the folders of the pool, and keeps after-images."""
        await self._close()

    async def start(
        self,
        sandbox_id: str,
        *,
        template: str = "base",
        envs: Mapping[str, str] | None = None,
        network: Network = Network.NONE,
    ) -> Sandbox:
        """A running sandbox with that identity, from the pool where one fits.

        Raises:
            BrokenError: it did not come up; with the last lines of what it said.
            ValueError: the id is in use, or is no plain name.
        """
        if sandbox_id in self._sandboxes or not sandbox_id or "/" in sandbox_id:
            raise ValueError(f"the sandbox id {sandbox_id!r} is in use or no plain name")
        leftover = self._state_dir / sandbox_id
        if leftover.exists():  # an earlier server's after-image
            await asyncio.to_thread(shutil.rmtree, leftover)
        kind = self._kind(template, network)
        sandbox = self._take(kind)
        if sandbox is None:
            isolated = self._mode is IsolationMode.BUBBLEWRAP
            sandbox = await self._boot(kind, _anonymous() if isolated else sandbox_id)
        if kind in self._pool:
            self._refill(kind)
        sandbox.adopt(sandbox_id, template, self._state_dir / sandbox_id)
        self._sandboxes[sandbox_id] = sandbox
        identity = {
            "E2B_SANDBOX": "true",
            "E2B_SANDBOX_ID": sandbox_id,
            "E2B_TEMPLATE_ID": template,
        }
        await sandbox.call("init", envs={**identity, **(envs or {})})
        return sandbox

    def after_image(self, sandbox_id: str) -> AfterImage | None:
        """The files of a sandbox, running or dead; None once discarded."""
        sandbox = self._sandboxes.get(sandbox_id)
        return sandbox.files if sandbox else None

    async def discard(self, sandbox_id: str) -> None:
        """Kills the sandbox if it runs, and deletes its files. Unknown ids are fine."""
        sandbox = self._sandboxes.get(sandbox_id)
        if sandbox is None:
            return
        await sandbox.kill()
        await asyncio.to_thread(shutil.rmtree, sandbox.folder)
        self._sandboxes.pop(sandbox_id, None)

    def _kind(self, template: str, network: Network) -> _Kind:
        environment = self._templates.get(template, self._default_template)
        if environment is None:
            environment = bare_environment(self._state_dir / ".bare")
        kind = (environment.prefix, network)
        if kind not in self._kinds:
            agent = self._state_dir / f".agent-{uuid.uuid4().hex[:12]}"
            isolated = self._mode is IsolationMode.BUBBLEWRAP
            seen_as = AGENT_FOLDER if isolated else str(agent)
            install_agent(agent, environment.python, seen_as=seen_as)
            layout = Layout(environment=environment, agent=agent)
            self._kinds[kind] = (
                Bubblewrap(layout, network=network, limits=self._limits)
                if isolated
                else ProcessMode(layout, limits=self._limits)
            )
        return kind

    def _take(self, kind: _Kind) -> Sandbox | None:
        waiting = self._pool.get(kind)
        while waiting:
            sandbox = waiting.popleft()
            if sandbox.alive:
                return sandbox
        return None

    def _refill(self, kind: _Kind) -> None:
        if self._closing or self._refills:
            return
        task = asyncio.create_task(self._fill(kind))
        self._refills.add(task)
        task.add_done_callback(self._refills.discard)

    async def _fill(self, kind: _Kind) -> None:
        while not self._closing and len(self._pool[kind]) < self._pool_size:
            try:
                self._pool[kind].append(await self._boot(kind, _anonymous()))
            except BrokenError:
                return  # the next cold start meets the same fault, and reports it

    async def _boot(self, kind: _Kind, name: str) -> Sandbox:
        """A started sandbox whose agent answers, without an identity yet."""
        boot_id = str(uuid.uuid4())
        folder = self._state_dir / name
        isolation = self._kinds[kind]

        def write() -> None:
            folder.mkdir(mode=0o700)
            isolation.write_tree(folder / "root")

        await asyncio.to_thread(write)
        launched = self._launcher.start(isolation.job(name, folder, boot_id))
        sandbox = Sandbox(folder, launched, self._launcher, name, boot_id)
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                await launched.started
                await sandbox.call("ping")
        except (SandboxGoneError, TimeoutError):
            await sandbox.kill()
            log = folder / "agent.log"
            said = log.read_text(errors="replace") if log.is_file() else ""
            shutil.rmtree(folder)
            raise explain_refusal(said) from None
        return sandbox

    async def _close(self) -> None:
        self._closing = True
        for task in list(self._refills):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._launcher.close()
        for sandbox in self._sandboxes.values():
            await sandbox.wait_dead()
        for waiting in self._pool.values():
            for sandbox in waiting:
                await sandbox.wait_dead()
        self._pool.clear()
        for leftover in self._state_dir.glob(".*"):
            shutil.rmtree(leftover)


def _anonymous() -> str:
    return f".pool-{uuid.uuid4().hex[:12]}"
