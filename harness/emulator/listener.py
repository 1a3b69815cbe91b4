"""The HTTP listener: uvicorn's protocol, with the connection within reach.

uvicorn's own server wakes ten times a second and handles signals by itself; here its
protocol runs on a plain asyncio server, so an idle emulator sleeps.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, Self

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from harness.emulator.exchange import TRANSPORT_KEY
from harness.emulator.routing import BadTargetError, Target, target_of
from harness.emulator.service import EmulatedService
from harness.emulator.tunnel import Tunnel

__all__ = ["Application", "Listener"]

# Longer than clients keep idle connections: who closes first decides who gets the error.
KEEP_ALIVE_S = 700
CLOSE_DEADLINE_S = 2.0


class Application(Protocol):
    """What answers requests: the emulator's application, or a part of it."""

    @property
    def service(self) -> EmulatedService:
        """The emulator."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""


class _Protocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, which tells the application its connection and hands over upgrades."""

    application: Application
    keep: Callable[[Coroutine[Any, Any, None]], object]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(f"{transport!r} cannot be read from")
        super().connection_made(transport)
        self.app = _with_transport(self.application, transport)

    def _should_upgrade(self) -> bool:
        return self._get_upgrade() is not None and isinstance(self._target(), Target)

    def _unsupported_upgrade_warning(self) -> None:
        """A request that asks to change protocols is answered as if it had not."""

    def handle_websocket_upgrade(self) -> None:
        target = self._target()
        if not isinstance(target, Target):
            raise TypeError("an upgrade is taken over only where it names a sandbox")
        self.connections.discard(self)
        service = self.application.service
        entry = service.ledger.open(
            time=service.clock.now(),
            method=self.scope["method"],
            path=self.url.partition(b"?")[0].decode("latin-1"),
            query=self.url.partition(b"?")[2].decode("latin-1"),
        )
        entry.area = "port"
        entry.sandbox_id = target.sandbox_id
        tunnel = Tunnel(
            service,
            target,
            entry,
            method=self.scope["method"].encode(),
            url=self.url,
            headers=self.headers,
            transport=self.transport,
            keep=self.keep,
        )
        self.transport.set_protocol(tunnel)

    def _target(self) -> Target | BadTargetError | None:
        try:
            return target_of(Headers(raw=self.headers))
        except BadTargetError as error:
            return error


def _with_transport(app: ASGIApp, transport: asyncio.Transport) -> ASGIApp:
    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        scope[TRANSPORT_KEY] = transport
        await app(scope, receive, send)

    return call


class Listener:
    """Serves an application on a bound socket; an async context manager.

    Args:
        application: the emulator's application.
        sock: the socket; closed at the end.
        tls: what TLS is spoken with; None is plain HTTP.
    """

    def __init__(
        self, application: Application, sock: socket.socket, *, tls: ssl.SSLContext | None = None
    ) -> None:
        self._sock = sock
        self._tls = tls
        self._state = ServerState()
        self._tunnels: set[asyncio.Task[None]] = set()
        self._config = Config(
            application,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_keep_alive=KEEP_ALIVE_S,
        )
        self._config.load()
        self._server: asyncio.Server | None = None
        self._protocol = type(
            "_Protocol",
            (_Protocol,),
            {"application": application, "keep": staticmethod(self._keep)},
        )

    async def __aenter__(self) -> Self:
        """Begins to accept connections."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self.protocol, sock=self._sock, ssl=self._tls)
        return self

    def protocol(self) -> asyncio.Protocol:
        """What speaks HTTP on one more connection, wherever that came from."""
        made: asyncio.Protocol = self._protocol(
            config=self._config, server_state=self._state, app_state={}
        )
        return made

    async def __aexit__(self, *exc_info: object) -> None:
        """Closes every connection; requests under way are cancelled."""
        if self._server is not None:
            self._server.close()
        tasks = [*self._state.tasks, *self._tunnels]
        for connection in tuple(self._state.connections):
            connection.transport.abort()
        for task in tasks:
            task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_DEADLINE_S):
                await asyncio.gather(*tasks, return_exceptions=True)

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tunnels.add(task)
        task.add_done_callback(self._tunnels.discard)
