"""The gateway's own process: ready line, serving, and an orderly end.

It ends on SIGTERM, SIGINT, or when its standard input reaches its end (the process
that started it is gone, however that happened), and before it does it ends what
its run has created and is still alive.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from harness.clock import SystemClock
from harness.errors import BrokenError, ExitCode, HarnessError, LeakError
from harness.gateway.admin import Admin
from harness.gateway.app import GatewayApp
from harness.gateway.estate import Estate
from harness.gateway.images import AfterImages
from harness.gateway.stamp import Stamp
from harness.gateway.upstream import Upstream
from harness.orphans.ledger import LEDGER_NAME, Ledger
from harness.orphans.owners import Owner, owner_of_process
from harness.peers import process_of
from harness.sdk import ApiEndpoint
from harness.settings import Secret

__all__ = ["GatewayOptions", "Ready", "main", "serve"]

SETTLE_S = 20.0
ANSWERS_S = 2
_OVER = "gateway: the run is over"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """What a gateway is told.

    Attributes:
        upstream: base URL of the real API.
        sandbox_url: where sandboxes are reached; None for the service's host names.
        domain: the service's domain; None for the SDK's default.
        run_id: names the run, and its folder.
        state_dir: where runs keep their ledgers and images.
        owner_pid: the process for whom all this is done.
        port: where to listen; 0 for any.
        grace_s: how long a sandbox outlives a client that did not wait for its create.
        owner_grace_s: how long a sandbox outlives the last process that needed it; None
            leaves it alone until the run is over.
        patience_s: how long a create may wait for a plan that allows no more.
        watch_stdin: end when the standard input ends.
        lease_s: how long the service is told that a sandbox lives, prolonged from here as
            long as the client asked for; None changes nothing.
    """

    upstream: str
    sandbox_url: str | None
    domain: str | None
    run_id: str
    state_dir: Path
    owner_pid: int
    port: int = 0
    grace_s: float = 5.0
    owner_grace_s: float | None = 10.0
    patience_s: float = 0.0
    watch_stdin: bool = True
    lease_s: int | None = None

    @property
    def folder(self) -> Path:
        """The run's own folder."""
        return self.state_dir / self.run_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Where a gateway listens, and what its own routes ask for."""

    url: str
    token: str


class _Server(uvicorn.Server):
    """A server that leaves the signals to its owner, who has sandboxes to end first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a gateway with the arguments of `attach`; the process's exit code."""
    options = _parse(argv)

    def say(ready: Ready) -> None:
        print(json.dumps({"url": ready.url, "token": ready.token}), flush=True)  # noqa: T201 - the ready line

    try:
        asyncio.run(serve(options, say))
    except HarnessError as error:
        print("\n".join(error.lines()), file=sys.stderr)  # noqa: T201 - the process's last words
        return int(error.exit_code)
    return int(ExitCode.PASSED)


async def serve(options: GatewayOptions, on_ready: Callable[[Ready], None]) -> None:
    """Serves until it is asked to end, then ends what its run still owns.

    Raises:
        BrokenError: if the port is taken or the ledger cannot be written.
        LeakError: if a sandbox of the run could not be ended.
    """
    owner, gateway = owner_of_process(options.owner_pid), process_of(os.getpid())
    listener = _listen(options.port)
    with listener, Ledger(options.folder / LEDGER_NAME) as ledger:
        ledger.append(
            "opened",
            run_id=options.run_id,
            owner=owner.name,
            pid=owner.pid,
            process_started=owner.process_started,
            boot_id=owner.boot_id,
            gateway={"pid": gateway.pid, "started": gateway.started},
            upstream=options.upstream,
        )
        endpoint = ApiEndpoint(
            api_url=options.upstream,
            api_key=Secret("E2B_API_KEY", ""),  # the clients bring their own
            sandbox_url=options.sandbox_url,
            domain=options.domain,
        )
        upstream = Upstream(endpoint, SystemClock())
        app = _app(options, owner, upstream, ledger)
        try:
            await _serve_until_asked(options, app, listener, on_ready)
        finally:
            left = await _end_run(app)
            app.close()
            await upstream.close()
        if not left:
            ledger.append("closed")
    _say_what_is_left(app, left)


def _app(options: GatewayOptions, owner: Owner, upstream: Upstream, ledger: Ledger) -> GatewayApp:
    images = AfterImages(options.folder / "after-images", upstream.time)
    estate = Estate(upstream, ledger, images, run_id=options.run_id)
    stamp = Stamp(
        run_id=options.run_id, owner=owner.name, clock=upstream.time, host=socket.gethostname()
    )
    return GatewayApp(
        upstream=upstream,
        estate=estate,
        stamp=stamp,
        admin=Admin(
            estate=estate,
            images=images,
            stamp=stamp,
            upstream_url=options.upstream,
            token=secrets.token_urlsafe(24),
        ),
        grace_s=options.grace_s,
        owner_grace_s=options.owner_grace_s,
        patience_s=options.patience_s,
        lease_s=options.lease_s,
    )


async def _serve_until_asked(
    options: GatewayOptions,
    app: GatewayApp,
    listener: socket.socket,
    on_ready: Callable[[Ready], None],
) -> None:
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,  # the service's own passes
        timeout_graceful_shutdown=ANSWERS_S,
    )
    server = _Server(config)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        server.should_exit = True

    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, stop)
    if options.watch_stdin:
        loop.add_reader(sys.stdin.fileno(), _stop_at_end, loop, stop)
    listener.listen(128)  # from here on connections wait in the queue: it is ready
    host, port = listener.getsockname()
    on_ready(Ready(url=f"http://{host}:{port}", token=app.admin.token))
    try:
        await server.serve(sockets=[listener])
    finally:
        if options.watch_stdin:
            loop.remove_reader(sys.stdin.fileno())


async def _end_run(app: GatewayApp) -> dict[str, str]:
    """Ends what is known at once, then what was still being created; what is left, and why."""
    app.ending.set()
    left = await app.estate.kill_all(by=_OVER)
    await app.under_way.settle(SETTLE_S)
    late = await app.estate.kill_all(by=_OVER, except_for=left)
    return {**left, **late, **await app.estate.verify(by=_OVER)}


def _stop_at_end(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        loop.remove_reader(sys.stdin.fileno())
        stop()


def _say_what_is_left(app: GatewayApp, left: dict[str, str]) -> None:
    if left:
        named = "; ".join(f"{sandbox_id}: {why}" for sandbox_id, why in left.items())
        raise LeakError(
            f"{len(left)} sandboxes of the run are left: {named}",
            expected="every sandbox of the run ended with the gateway",
            next_step="run `harness orphans sweep --force`",
        )
    if app.estate.troubles:
        raise BrokenError(
            app.estate.troubles[0],
            expected="a ledger that can be written to the end",
            next_step="make room on the disk; the sandboxes were ended",
        )


def _listen(port: int) -> socket.socket:
    # asyncio switches Nagle's algorithm off only where the protocol is named: 40 ms an answer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise BrokenError(
            f"port {port} cannot be had: {error}",
            expected="a free port on 127.0.0.1",
            next_step="leave --port out, or choose another one",
        ) from error
    return listener


def _parse(argv: Sequence[str] | None) -> GatewayOptions:
    parser = argparse.ArgumentParser(prog="python -m harness.gateway")
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--sandbox-url")
    parser.add_argument("--domain")
    parser.add_argument("--run-id", required=True)
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--owner-pid", type=int, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--grace", type=float, default=5.0)
    parser.add_argument("--owner-grace", type=float)
    parser.add_argument("--lease", type=int)
    parser.add_argument("--patience", type=float, default=0.0)
    told = parser.parse_args(argv)
    return GatewayOptions(
        upstream=told.upstream,
        sandbox_url=told.sandbox_url,
        domain=told.domain,
        run_id=told.run_id,
        state_dir=told.state_dir,
        owner_pid=told.owner_pid,
        port=told.port,
        grace_s=told.grace,
        owner_grace_s=told.owner_grace,
        lease_s=told.lease,
        patience_s=told.patience,
    )
