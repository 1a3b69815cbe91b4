"""An emulator's doors: its listener and, where one is wanted, its proxy; and how to find them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.emulator.admin import PREFIX as ADMIN_PREFIX
from harness.emulator.assembly import assemble
from harness.emulator.front import E2B_DOMAINS, Front
from harness.emulator.isolation import SandboxHost
from harness.emulator.ledger import Entry
from harness.emulator.listener import Listener
from harness.emulator.loopback import HOST, bind
from harness.emulator.neighbours import Neighbours
from harness.emulator.sandbox_door import SandboxesOnly
from harness.emulator.serve_options import ServeOptions
from harness.emulator.server import EmulatorApplication
from harness.emulator.service import EmulatedService

__all__ = ["Running", "open_emulator"]


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


@contextlib.asynccontextmanager
async def open_emulator(
    options: ServeOptions,
    folder: Path,
    sock: socket.socket,
    host: SandboxHost,
    on_request: Callable[[Entry], None] | None,
) -> AsyncIterator[Running]:
    """An emulator that answers.

    Args:
        options: how it is to run.
        folder: where it keeps its state.
        sock: where it listens; closed at the end.
        host: starts its sandboxes.
        on_request: called with each finished request.

    Raises:
        BrokenError: the proxy's port is taken.
    """
    port: int = sock.getsockname()[1]
    async with assemble(options, folder, port, host=host) as service:
        application = EmulatorApplication(service, on_request=on_request)
        async with Listener(application, sock) as listener:
            async with _front(options, folder, application, listener) as proxy_env:
                yield _running(service, port, proxy_env)
            await application.close()


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
