"""Runs one emulator from its first breath to its last.

It goes when it is told to, and when the process goes that started it; with it go
every sandbox and its folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.emulator.admin import PREFIX as ADMIN_PREFIX
from harness.emulator.assembly import assemble
from harness.emulator.front import E2B_DOMAINS, Front
from harness.emulator.ledger import Entry
from harness.emulator.listener import HOST, Listener, bind
from harness.emulator.neighbours import Neighbours
from harness.emulator.sandbox_door import SandboxesOnly
from harness.emulator.serve_options import ServeOptions
from harness.emulator.server import EmulatorApplication
from harness.emulator.service import EmulatedService
from harness.emulator.state_folder import default_base, state_folder
from harness.errors import BrokenError

__all__ = ["Running", "serve"]

_LOG = logging.getLogger("harness.emulator")


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """How a running emulator is reached.

    Attributes:
        env: the variables for a client; they hold the key.
        proxy_env: the variables for a client that knows only E2B's public names; the key is
            the only one of E2B's own. Empty without a proxy.
        admin_url: the admin interface.
        admin_token: what it asks for.
        pid: the emulator's process.
        access_token: what its one person has.
    """

    env: Mapping[str, str] = field(repr=False)
    proxy_env: Mapping[str, str] = field(repr=False)
    admin_url: str
    admin_token: str = field(repr=False)
    pid: int
    access_token: str = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """The one line that says that it is ready."""
        return {
            "env": dict(self.env),
            "proxy_env": dict(self.proxy_env),
            "admin": {"url": self.admin_url, "token": self.admin_token},
            "access_token": self.access_token,
            "pid": self.pid,
        }


async def serve(
    options: ServeOptions,
    *,
    on_ready: Callable[[Running], None],
    on_request: Callable[[Entry], None] | None = None,
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
        port: int = sock.getsockname()[1]
        async with assemble(options, folder, port) as service:
            application = EmulatorApplication(service, on_request=on_request)
            async with Listener(application, sock) as listener:
                async with _front(options, folder, application, listener) as proxy_env:
                    on_ready(_running(service, port, proxy_env))
                    await stop.wait()
                await application.close()
    stop.raise_failure()


@contextlib.asynccontextmanager
async def _front(
    options: ServeOptions, folder: Path, application: EmulatorApplication, listener: Listener
) -> AsyncIterator[dict[str, str]]:
    """The proxy where one is wanted; yields the variables for its clients, none without it."""
    if not options.proxy:
        yield {}
        return
    # Only here: certificates cost an emulator without a proxy a third of its start.
    from harness.emulator.authority import Authority  # noqa: PLC0415

    service, domains = application.service, (*E2B_DOMAINS, *options.domains)
    authority = await asyncio.to_thread(Authority, folder)
    front = Front(
        bind(options.proxy_port),
        authority,
        listener.protocol,
        domains=domains,
        ledger=service.ledger,
        clock=service.clock,
    )
    inner = bind(0)
    service.sandboxes.starts.neighbours = Neighbours(
        domains=domains,
        place=inner.getsockname(),
        authority=authority.certificate.read_text(encoding="ascii"),
    )
    to_sandboxes = Listener(SandboxesOnly(application), inner, tls=authority.server_context())
    async with front, to_sandboxes:
        yield {**front.env, "E2B_API_KEY": service.credentials.api_key}


def _running(service: EmulatedService, port: int, proxy_env: Mapping[str, str]) -> Running:
    url = f"http://{HOST}:{port}"
    return Running(
        env={
            "E2B_API_URL": url,
            "E2B_SANDBOX_URL": url,
            "E2B_VOLUME_API_URL": url,
            "E2B_API_KEY": service.credentials.api_key,
            **({"E2B_DOCS_BASE": f"{url}/docs"} if service.sign_in else {}),
        },
        proxy_env=proxy_env,
        admin_url=f"{url}{ADMIN_PREFIX}",
        admin_token=service.credentials.admin_token,
        pid=os.getpid(),
        access_token=service.credentials.access_token,
    )


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
