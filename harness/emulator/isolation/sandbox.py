"""One running sandbox as the server sees it: calls, streams, life and files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from harness.emulator.isolation.after_image import AfterImage

__all__ = ["GuestStream", "Sandbox"]


class GuestStream:
    """A call under way: bytes may go in, events and bytes come out.

    Iteration yields `dict` for an event (it has a key `event`) and `bytes` for data, in order,
    and ends after the agent's last frame; `result` holds what that said. Not reading is
    back-pressure: the sandbox's side stops after a bounded buffer.

    Raises (from iteration, `send` and `send_eof`):
        GuestError: the call failed inside.
        SandboxGoneError: the sandbox died.
    """

    result: dict[str, Any]

    async def send(self, data: bytes | memoryview) -> None:
        """Sends bytes, cut into frames; returns when the sandbox has room for more."""
        raise NotImplementedError

    async def send_eof(self) -> None:
        """Says that no more bytes follow."""
        raise NotImplementedError

    def __aiter__(self) -> AsyncIterator[dict[str, Any] | bytes]:
        raise NotImplementedError

    async def __anext__(self) -> dict[str, Any] | bytes:
        raise NotImplementedError


class Sandbox:
    """A started sandbox. Made by `SandboxHost.start`, never by hand.

    Attributes:
        sandbox_id: E2B's id.
        template: the name that it was started from.
        boot_id: new for each boot.
        files: its files on the host, readable while it runs and after its death.
    """

    sandbox_id: str
    template: str
    boot_id: str
    files: AfterImage

    @property
    def alive(self) -> bool:
        """Whether its processes run (or are frozen)."""
        raise NotImplementedError

    @property
    def paused(self) -> bool:
        """Whether its processes are frozen."""
        raise NotImplementedError

    @property
    def home_on_host(self) -> Path:
        """Where the host keeps what the sandbox knows as /home/user."""
        raise NotImplementedError

    async def call(self, op: str, **params: Any) -> dict[str, Any]:
        """One call of the guest protocol that needs no stream; its result.

        Raises:
            GuestError: the sandbox refused it.
            SandboxGoneError: the sandbox died.
        """
        raise NotImplementedError

    def stream(self, op: str, **params: Any) -> AbstractAsyncContextManager[GuestStream]:
        """One call with events or bytes; leaving the block early cancels it.

        A process that the call started goes on.
        """
        raise NotImplementedError

    async def kill(self) -> None:
        """Ends every process of it; returns when none is left. Again is fine."""
        raise NotImplementedError

    async def wait_dead(self) -> None:
        """Returns once no process of it is left, whoever ended it."""
        raise NotImplementedError

    async def pause(self) -> None:
        """Freezes every process of it; calls wait until `resume`. Again is fine."""
        raise NotImplementedError

    async def resume(self) -> None:
        """Lets its processes go on. Again is fine."""
        raise NotImplementedError
