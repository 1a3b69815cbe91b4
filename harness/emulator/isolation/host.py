"""Owns every sandbox of one server: the pool, the folders, the ends."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from harness.emulator.isolation.after_image import AfterImage
from harness.emulator.isolation.bubblewrap import explain_refusal
from harness.emulator.isolation.folders import Workshop, delete_tree
from harness.emulator.isolation.kinds import Kind, Kinds
from harness.emulator.isolation.launch import Job, LauncherProcess
from harness.emulator.isolation.layers import MAX_LAYER_BYTES, copy_tree
from harness.emulator.isolation.model import (
    IsolationMode,
    Limits,
    Network,
    SandboxGoneError,
    VolumeMount,
)
from harness.emulator.isolation.sandbox import Sandbox
from harness.emulator.templates import TemplateEnvironment
from harness.errors import BrokenError

__all__ = ["SandboxHost"]

T = TypeVar("T")

_START_TIMEOUT_S = 30.0
_DEFAULT_LIMITS = Limits()


class SandboxHost:
    """Starts sandboxes and ends them; an async context manager.

    Args:
        state_dir: the folder for the sandboxes' files; made where it is missing. Servers may
            share it as long as their sandboxes' ids differ.
        mode: what isolates them.
        templates: the environment of each template's name; a name that is missing here gets
            `default_template` where that is given, else a bare Python.
        default_template: see `templates`.
        pool_size: how many anonymous sandboxes wait ready.
        pool_network: the network that those are started with.
        limits: bounds of each sandbox.
        one_user_id: whether a sandbox's root and user share one id of the host; None: only
            where this process may not hand out more.
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
        one_user_id: bool | None = None,
    ) -> None:
        self._state_dir = state_dir.resolve()
        self._templates = dict(templates or {})
        self._default_template = default_template
        self._isolated = mode is IsolationMode.BUBBLEWRAP
        # Without namespaces a sandbox knows its folder by name, so that it cannot be renamed.
        self._pool_size = pool_size if self._isolated else 0
        self._pool_network = pool_network
        self._limits = limits
        self._one_user_id = one_user_id
        self._pool: dict[Kind, deque[Sandbox]] = defaultdict(deque)
        self._refill: asyncio.Task[None] | None = None
        self._waited_for = 0  # boots for which a client waits
        self._sandboxes: dict[str, Sandbox] = {}
        self._started: dict[str, tuple[Kind, Sequence[VolumeMount]]] = {}
        self._starting: set[str] = set()
        self._writing: set[asyncio.Future[Any]] = set()
        self._closing = False
        self._workshop: Workshop
        self._kinds: Kinds
        self._launcher: LauncherProcess

    async def __aenter__(self) -> Self:
        """Opens the host and begins to fill the pool.

        Raises:
            BrokenError: this machine cannot isolate a sandbox in the chosen way.
        """
        self._workshop = await asyncio.to_thread(Workshop, self._state_dir)
        self._kinds = Kinds(
            self._workshop.folder,
            isolated=self._isolated,
            limits=self._limits,
            one_user_id=self._one_user_id,
        )
        self._launcher = await LauncherProcess.open()
        try:
            await self._prove()
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
        """Kills every sandbox; deletes the pool, and keeps after-images."""
        await self._close()

    async def start(
        self,
        sandbox_id: str,
        *,
        template: str = "base",
        envs: Mapping[str, str] | None = None,
        network: Network = Network.NONE,
        layer: Path | None = None,
        mounts: Sequence[VolumeMount] = (),
    ) -> Sandbox:
        """A running sandbox with that identity, from the pool where one fits.

        Args:
            sandbox_id: a plain name that is not in use.
            template: the name of its environment.
            envs: variables of every command.
            network: what it can reach.
            layer: the files that it starts with; None is a fresh system.
            mounts: folders that it sees beside its own.

        Raises:
            BrokenError: it did not come up; with the last lines of what it said.
            ValueError: the id is in use, or is no plain name.
        """
        if sandbox_id in self._sandboxes or sandbox_id in self._starting:
            raise ValueError(f"the sandbox id {sandbox_id!r} is in use")
        if not sandbox_id.isalnum():
            raise ValueError(f"the sandbox id {sandbox_id!r} is no plain name")
        self._starting.add(sandbox_id)
        try:
            kind = await self._kind(template, network)
            sandbox = await self._begin(sandbox_id, template, kind, layer, mounts)
            try:
                await _identify(sandbox, envs or {})
            except BaseException:
                await self.discard(sandbox_id)
                raise
        finally:
            self._starting.discard(sandbox_id)
        return sandbox

    async def _begin(
        self,
        sandbox_id: str,
        template: str,
        kind: Kind,
        layer: Path | None,
        mounts: Sequence[VolumeMount],
    ) -> Sandbox:
        folder = self._state_dir / sandbox_id
        if folder.exists():  # an earlier server's after-image
            await asyncio.to_thread(delete_tree, folder)
        plain = layer is None and not mounts
        sandbox = self._take(kind) if plain else None
        if sandbox is None:
            place = self._anonymous() if self._isolated else folder
            self._waited_for += 1
            try:
                sandbox = await self._boot(kind, place, layer, mounts)
            finally:
                self._waited_for -= 1
        self._fill_soon()
        sandbox.adopt(sandbox_id, template, folder)
        self._sandboxes[sandbox_id], self._started[sandbox_id] = sandbox, (kind, mounts)
        return sandbox

    async def reboot(self, sandbox_id: str, *, envs: Mapping[str, str] | None = None) -> Sandbox:
        """Ends a sandbox's processes, and starts it anew with the files that it has.

        Returns:
            What stands for it from now on, with another boot id.

        Raises:
            BrokenError: it did not come up; its files are kept.
            KeyError: there is no such sandbox.
        """
        old = self._sandboxes[sandbox_id]
        kind, mounts = self._started[sandbox_id]
        await old.kill()
        (old.folder / "agent.sock").unlink(missing_ok=True)
        boot_id = str(uuid.uuid4())
        job = replace(kind.job(old.folder, boot_id, mounts), id=f"{sandbox_id}-{boot_id}")
        sandbox = await self._launch(job, old.folder, boot_id)
        sandbox.adopt(sandbox_id, old.template, old.folder)
        self._sandboxes[sandbox_id] = sandbox
        await _identify(sandbox, envs or {})
        return sandbox

    def new_layer(self) -> Path:
        """A name for a layer, in a folder that goes with the host."""
        return self._workshop.folder / f"layer-{uuid.uuid4().hex[:12]}"

    async def drop_layer(self, layer: Path) -> None:
        """Deletes a layer; sandboxes that were started from it keep their files."""
        await asyncio.to_thread(delete_tree, layer)

    async def save_layer(
        self, sandbox_id: str, into: Path, *, limit_bytes: int = MAX_LAYER_BYTES
    ) -> None:
        """Copies the files of a sandbox, for others to start with; it stands still meanwhile.

        Raises:
            BrokenError: they cannot be copied, or take more than the limit.
            KeyError: there is no such sandbox.
        """
        sandbox = self._sandboxes[sandbox_id]
        async with sandbox.standing():
            await copy_tree(sandbox.files.root, into, limit_bytes=limit_bytes)

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
        await asyncio.to_thread(delete_tree, sandbox.folder)
        self._sandboxes.pop(sandbox_id, None)
        self._started.pop(sandbox_id, None)

    async def _prove(self) -> None:
        """Starts a first sandbox, so that a machine that cannot says so now."""
        kind = await self._kind("base", self._pool_network)
        if self._pool_size:
            self._pool[kind].append(await self._boot(kind, self._anonymous()))
            self._fill_soon()
            return
        folder = self._anonymous()
        await (await self._boot(kind, folder)).kill()
        await asyncio.to_thread(delete_tree, folder)

    async def _kind(self, template: str, network: Network) -> Kind:
        environment = self._templates.get(template, self._default_template)
        return await self._kinds.of(environment, network)

    def _anonymous(self) -> Path:
        return self._workshop.folder / f"pool-{uuid.uuid4().hex[:12]}"

    def _take(self, kind: Kind) -> Sandbox | None:
        waiting = self._pool.get(kind)
        while waiting:
            sandbox = waiting.popleft()
            if sandbox.alive:
                return sandbox
        return None

    def _fill_soon(self) -> None:
        """Fills the pool again, once nobody waits for a sandbox that boots."""
        filling = self._refill is not None and not self._refill.done()
        if not filling and not self._closing and not self._waited_for:
            self._refill = asyncio.create_task(self._fill())

    async def _fill(self) -> None:
        for kind, waiting in list(self._pool.items()):
            while len(waiting) < self._pool_size and not self._waited_for:
                try:
                    waiting.append(await self._boot(kind, self._anonymous()))
                except BrokenError:
                    break  # the next cold start meets the same fault, and reports it

    async def _boot(
        self,
        kind: Kind,
        folder: Path,
        layer: Path | None = None,
        mounts: Sequence[VolumeMount] = (),
    ) -> Sandbox:
        """A started sandbox whose agent answers, without an identity yet."""
        boot_id = str(uuid.uuid4())
        if layer is None and not mounts:
            job = await self._on_thread(kind.prepare, folder, boot_id)
        else:
            await asyncio.to_thread(folder.mkdir, mode=0o700)
            if layer is None:
                await self._on_thread(kind.write_files, folder)
            else:
                await copy_tree(layer, folder / "root")
            job = kind.job(folder, boot_id, mounts)
        try:
            return await self._launch(job, folder, boot_id)
        except BrokenError:
            await asyncio.to_thread(delete_tree, folder)
            raise

    async def _on_thread(self, write: Callable[..., T], *arguments: object) -> T:
        """Writes files on a thread; where the caller gives up, the host's end still waits."""
        writing = asyncio.get_running_loop().run_in_executor(None, write, *arguments)
        self._writing.add(writing)
        writing.add_done_callback(self._written)
        return await asyncio.shield(writing)

    def _written(self, writing: asyncio.Future[Any]) -> None:
        self._writing.discard(writing)
        if not writing.cancelled():
            writing.exception()  # whoever awaited it has it; nobody else is to be warned

    async def _launch(self, job: Job, folder: Path, boot_id: str) -> Sandbox:
        launched = self._launcher.start(job)
        sandbox = Sandbox(folder, launched, self._launcher, job.id, boot_id)
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                await launched.started
                await sandbox.call("ping")
        except (SandboxGoneError, TimeoutError):
            await sandbox.kill()
            log = folder / "agent.log"
            said = log.read_text(errors="replace") if log.is_file() else ""
            raise explain_refusal(said) from None
        except BaseException:
            sandbox.abandon()
            raise
        return sandbox

    async def _close(self) -> None:
        self._closing = True
        if self._refill is not None:
            self._refill.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._refill
        await self._launcher.close()
        await asyncio.gather(*self._writing, return_exceptions=True)
        waiting = [sandbox for sandboxes in self._pool.values() for sandbox in sandboxes]
        for sandbox in (*self._sandboxes.values(), *waiting):
            await sandbox.wait_dead()
        self._pool.clear()
        await asyncio.to_thread(self._workshop.close)


async def _identify(sandbox: Sandbox, envs: Mapping[str, str]) -> None:
    identity = {"E2B_SANDBOX_ID": sandbox.sandbox_id, "E2B_TEMPLATE_ID": sandbox.template}
    await sandbox.call("init", envs={"E2B_SANDBOX": "true", **identity, **envs})
