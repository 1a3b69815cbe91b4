"""Started by the guest agent: standard input is the listening socket.

Source: e2b-dev/code-interpreter template/server/main.py.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket

from tornado.httpserver import HTTPServer

from .api import application
from .contexts import Contexts

__all__ = ["main"]

_ENV_PREFIX = "_SANDBOX_ENV_"
_LARGEST_BODY_BYTES = 1024**3


def main() -> None:
    """Answers until it is told to end; the kernels end with it."""
    envs = {
        name.removeprefix(_ENV_PREFIX): os.environ.pop(name)
        for name in list(os.environ)
        if name.startswith(_ENV_PREFIX)
    }
    listener = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)  # a kernel must not inherit the port
    os.close(null)
    listener.setblocking(False)
    asyncio.run(_serve(listener, envs))


async def _serve(listener: socket.socket, envs: dict[str, str]) -> None:
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    contexts = Contexts(envs)
    # Requests that came first wait for it, as they would for the real service to be ready.
    first = asyncio.create_task(contexts.open_default())
    server = HTTPServer(
        application(contexts),
        max_body_size=_LARGEST_BODY_BYTES,
        max_buffer_size=_LARGEST_BODY_BYTES,
    )
    server.add_socket(listener)
    await stop.wait()
    server.stop()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await contexts.close()


if __name__ == "__main__":
    main()
