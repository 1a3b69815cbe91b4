"""Runs one emulator from its first breath to its last.

It goes when it is told to, and when the process goes that started it; with it go
every sandbox and its folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from harness.emulator.isolation import SandboxHost
from harness.emulator.loopback import bind
from harness.emulator.serve_options import ServeOptions
from harness.emulator.state_folder import default_base, state_folder
from harness.errors import BrokenError

if TYPE_CHECKING:
    from harness.emulator.doors import Running
    from harness.emulator.ledger import Entry

    OnRequest = Callable[[Entry], None] | None
    Opener = Callable[
        [ServeOptions, Path, socket.socket, SandboxHost, OnRequest],
        AbstractAsyncContextManager[Running],
    ]

__all__ = ["serve"]


async def serve(
    options: ServeOptions,
    *,
    on_ready: Callable[[Running], None],
    on_request: OnRequest = None,
) -> None:
    """Runs an emulator until SIGINT, SIGTERM, or the end of its parent.

    Args:
        options: how it is to run.
        on_ready: called once, when requests are answered.
        on_request: called with each finished request.

    Raises:
        BrokenError: the port is taken, or this machine cannot isolate sandboxes.
    """
    stop = _Stop()
    stop.listen(options.parent_pid)
    sock = bind(options.port)
    with contextlib.closing(sock), state_folder(options.state_base or default_base()) as folder:
        async with (
            _host(options.host(folder)) as (host, opened),
            opened(options, folder, sock, host, on_request) as running,
        ):
            on_ready(running)
            await stop.wait()
    stop.raise_failure()


@contextlib.asynccontextmanager
async def _host(host: SandboxHost) -> AsyncIterator[tuple[SandboxHost, Opener]]:
    """The host, whose first sandbox has come up, and what opens an emulator on it."""
    # Half of a start is waiting for that sandbox, and half is importing what will answer.
    importing = asyncio.create_task(asyncio.to_thread(_opener))
    try:
        async with host:
            yield host, await importing
    finally:
        await asyncio.wait((importing,))


def _opener() -> Opener:
    from harness.emulator.doors import open_emulator  # noqa: PLC0415 - beside the first sandbox

    return open_emulator


class _Stop:
    """Says when to end: on a signal, or when the parent has gone."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self._failure: BrokenError | None = None

    def listen(self, parent_pid: int | None) -> None:
        """Begins to listen, for as long as the loop runs."""
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(signum, self._on_signal)
        if parent_pid is None:
            return
        try:
            descriptor = os.pidfd_open(parent_pid)
        except ProcessLookupError:
            self._asked.set()
            return
        except OSError as error:
            self._failure = BrokenError(
                f"process {parent_pid} cannot be watched: {error.strerror}",
                expected="a kernel with pidfd_open (Linux 5.3)",
                next_step="harness emulator serve --outlive-parent",
            )
            self._asked.set()
            return
        # Not PR_SET_PDEATHSIG: that fires when the parent's *thread* ends.
        loop.add_reader(descriptor, self._on_parent_gone, descriptor)

    async def wait(self) -> None:
        """Returns when it is time to end."""
        await self._asked.wait()

    def raise_failure(self) -> None:
        """Raises what kept the parent from being watched, if anything did."""
        if self._failure is not None:
            raise self._failure

    def _on_signal(self) -> None:
        if self._asked.is_set():
            print("ending every sandbox, please wait", file=sys.stderr)  # noqa: T201 - the person at the keyboard waits for a word
        self._asked.set()

    def _on_parent_gone(self, descriptor: int) -> None:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
        self._asked.set()
