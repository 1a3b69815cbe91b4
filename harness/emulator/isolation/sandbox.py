"""One running sandbox as the server sees it: calls, streams, life and files."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from harness.emulator.isolation.after_image import AfterImage
from harness.emulator.isolation.connection import GuestStream
from harness.emulator.isolation.launch import Launched, LauncherProcess
from harness.emulator.isolation.model import GuestError, SandboxGoneError

__all__ = ["GuestStream", "Sandbox"]

_PAUSE_TIMEOUT_S = 10.0
_HEALTH_TIMEOUT_S = 2.0
_PAUSE_POLL_S = 0.001


class Sandbox:
    """A started sandbox. Made by `SandboxHost.start`, never by hand.

    Attributes:
        sandbox_id: E2B's id.
        template: the name that it was started from.
        boot_id: new for each boot.
        files: its files on the host, readable while it runs and after its death.
    """

    def __init__(
        self, folder: Path, launched: Launched, launcher: LauncherProcess, job_id: str, boot_id: str
    ) -> None:
        self.sandbox_id = job_id
        self.template = ""
        self.boot_id = boot_id
        self.files = AfterImage(folder / "root")
        self.folder = folder
        self._launched = launched
        self._launcher = launcher
        self._job_id = job_id
        self._paused = False
        # The socket's name may be longer than a unix address holds; this one is short.
        self._folder_fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._socket = f"/proc/self/fd/{self._folder_fd}/agent.sock"

    def adopt(self, sandbox_id: str, template: str, folder: Path) -> None:
        """Gives an anonymous sandbox its name; its folder moves, under its feet."""
        if folder != self.folder:
            self.folder.rename(folder)
        self.sandbox_id, self.template = sandbox_id, template
        self.folder, self.files = folder, AfterImage(folder / "root")

    @property
    def alive(self) -> bool:
        """Whether its processes run (or are frozen)."""
        return not self._launched.gone.is_set()

    @property
    def paused(self) -> bool:
        """Whether its processes are frozen."""
        return self._paused

    @property
    def home_on_host(self) -> Path:
        """Where the host keeps what the sandbox knows as /home/user."""
        return self.files.root / "home" / "user"

    async def call(self, op: str, **params: Any) -> dict[str, Any]:
        """One call of the guest protocol that needs no stream; its result.

        Raises:
            GuestError: the sandbox refused it.
            SandboxGoneError: the sandbox died.
        """
        async with self.stream(op, **params) as stream:
            return await stream.finish()

    def stream(self, op: str, **params: Any) -> AbstractAsyncContextManager[GuestStream]:
        """One call with events or bytes; leaving the block early cancels it.

        A process that the call started goes on.

        Raises:
            SandboxGoneError: the sandbox is dead.
        """
        if not self.alive:
            raise SandboxGoneError(self.sandbox_id)
        return GuestStream(self.sandbox_id, self._socket, {**params, "op": op})

    async def kill(self) -> None:
        """Ends every process of it; returns when none is left. Again is fine."""
        self._launcher.signal(self._job_id, signal.SIGKILL)
        await self.wait_dead()

    async def wait_dead(self) -> None:
        """Returns once no process of it is left, whoever ended it."""
        await self._launched.gone.wait()
        self._close()

    def abandon(self) -> None:
        """Begins to end it, for a caller that cannot wait."""
        self._launcher.signal(self._job_id, signal.SIGKILL)
        self._close()

    def _close(self) -> None:
        if self._folder_fd >= 0:
            os.close(self._folder_fd)
            self._folder_fd = -1

    async def healthy(self) -> bool:
        """Whether the agent answers within two seconds."""
        try:
            async with asyncio.timeout(_HEALTH_TIMEOUT_S):
                await self.call("ping")
        except (GuestError, SandboxGoneError, TimeoutError):
            return False
        return True

    async def pause(self, *, asks_agent: bool = True) -> None:
        """Freezes every process of it; calls wait until `resume`. Again is fine.

        Args:
            asks_agent: False only stops an agent that answers no more, and nobody else.
        """
        if self._paused:
            return
        if asks_agent:
            await self.call("freeze")
        self._launcher.signal(self._job_id, signal.SIGSTOP)
        self._paused = True
        async with asyncio.timeout(_PAUSE_TIMEOUT_S):
            while self.alive and not self._agent_stands():  # noqa: ASYNC110 - the kernel tells nobody
                await asyncio.sleep(_PAUSE_POLL_S)

    @asynccontextmanager
    async def standing(self) -> AsyncIterator[None]:
        """Nothing of it runs inside the block; one that ran goes on after it."""
        ran = self.alive and not self._paused
        if ran:
            await self.pause()
        try:
            yield
        finally:
            if ran and self.alive:
                await self.resume()

    def _agent_stands(self) -> bool:
        tasks = Path("/proc") / str(self._launched.started.result()) / "task"
        try:
            states = [(task / "stat").read_text("ascii", "replace") for task in tasks.iterdir()]
        except (FileNotFoundError, ProcessLookupError):
            return False  # it ended, or a thread did
        return all(state.rpartition(")")[2].split()[0] == "T" for state in states)

    async def resume(self) -> None:
        """Lets its processes go on. Again is fine."""
        if not self._paused:
            return
        self._paused = False
        self._launcher.signal(self._job_id, signal.SIGCONT)
        await self.call("thaw")
