"""One kernel process: its channels, its end, and whoever waits for its messages."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

from .languages import Language

__all__ = ["Kernel", "KernelStartError", "real_folder"]

_START_TIMEOUT_S = 60.0
_ASK_AGAIN_S = 0.3
_HOME = "/home/user"
_REAL_HOME = os.environ.get("SANDBOX_HOME", _HOME)  # another one where nothing is isolated

Message = dict[str, Any]


def real_folder(shown: str) -> str:
    """Where the kernel finds a folder that clients name."""
    if shown == _HOME or shown.startswith(f"{_HOME}/"):
        return _REAL_HOME + shown[len(_HOME) :]
    return shown


class KernelStartError(Exception):
    """A kernel did not come up."""


class _Manager(AsyncKernelManager):
    """Starts a kernel from a specification that is written nowhere."""

    language: Language

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(
            argv=list(self.language.argv),
            display_name=self.language.name,
            language=self.language.name,
            env=dict(self.language.env),
        )


class Kernel:
    """A running kernel. Made by `Kernel.start`.

    Args:
        manager: owns its process.
        on_message: called with each message on the kernel's public channel, and each reply.
        on_death: called once, when the process ended by itself.
    """

    def __init__(
        self,
        manager: AsyncKernelManager,
        on_message: Callable[[Message], None],
        on_death: Callable[[], None],
    ) -> None:
        self._manager = manager
        self._client: AsyncKernelClient = manager.client()
        self._on_message = on_message
        self._on_death = on_death
        self._asked: set[str] = set()
        self._ready = asyncio.Event()
        self._gone = asyncio.Event()
        self._pidfd = -1
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def start(
        cls,
        language: Language,
        on_message: Callable[[Message], None],
        on_death: Callable[[], None],
    ) -> Kernel:
        """A kernel that listens.

        Raises:
            KernelStartError: it did not come up.
        """
        manager = _Manager()
        manager.language = language
        try:
            await manager.start_kernel(cwd=_REAL_HOME)
        except OSError as error:
            raise KernelStartError(f"Failed to create context: {error}") from error
        kernel = cls(manager, on_message, on_death)
        try:
            await kernel._listen()
        except BaseException:
            await kernel.close()
            raise
        return kernel

    def execute(self, code: str, *, silent: bool = False) -> str:
        """Asks the kernel to run code; the id that its messages carry as their parent's."""
        message_id: str = self._client.execute(
            code, silent=silent, store_history=True, allow_stdin=False
        )
        return message_id

    async def interrupt(self) -> None:
        """Sends it what Ctrl-C sends, if it still runs."""
        with contextlib.suppress(ProcessLookupError, RuntimeError):
            await self._manager.interrupt_kernel()

    async def close(self) -> None:
        """Ends the process."""
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._client.stop_channels()
        with contextlib.suppress(ProcessLookupError):
            await self._manager.shutdown_kernel(now=True)

    async def _listen(self) -> None:
        self._watch_process()
        self._client.start_channels(stdin=False, hb=False)
        self._tasks = [
            asyncio.create_task(self._read(self._client.iopub_channel)),
            asyncio.create_task(self._read(self._client.shell_channel)),
        ]
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                await self._answer_on_both_channels()
        except TimeoutError:
            problem = f"the kernel did not answer within {_START_TIMEOUT_S:g} s"
            raise KernelStartError(f"Failed to create context: {problem}") from None

    async def _answer_on_both_channels(self) -> None:
        """Asks until the public channel carries an answer: what came before it is lost."""
        while not self._ready.is_set():
            if self._gone.is_set():
                raise KernelStartError("Failed to create context: the kernel died as it started")
            self._asked.add(self._client.kernel_info())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ready.wait(), _ASK_AGAIN_S)

    async def _read(self, channel: Any) -> None:
        while True:
            message: Message = await channel.get_msg(timeout=None)
            parent = message["parent_header"].get("msg_id")
            if parent in self._asked:
                if message["header"]["msg_type"] == "status":
                    self._ready.set()
                continue
            self._on_message(message)

    def _watch_process(self) -> None:
        pid = getattr(self._manager.provisioner, "pid", None)
        try:
            self._pidfd = os.pidfd_open(pid) if pid else -1
        except ProcessLookupError:
            self._gone.set()
            return
        asyncio.get_running_loop().add_reader(self._pidfd, self._end)

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        self._gone.set()
        if self._ready.is_set():
            self._on_death()
