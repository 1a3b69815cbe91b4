"""Where `sudo` programs knock: a socket that costs nothing until the first one comes."""

from __future__ import annotations

import os

from .lean import accept, socket, start_thread

TYPE_CHECKING = False  # typing's own costs every start of an agent its import
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SOCKET", "open_door"]

SOCKET = "/run/e2b/sudo.sock"
_AF_UNIX = 1


def open_door(service: Callable[[], Callable[[int], None]]) -> None:
    """Listens for `sudo` programs, on a thread of its own.

    Args:
        service: asked once, for the first of them; what it answers is called with the
            descriptor of each connection, on a thread of its own.
    """
    listener = socket(_AF_UNIX)
    if os.path.lexists(SOCKET):
        os.unlink(SOCKET)  # of an earlier boot of these files
    listener.bind(SOCKET)
    os.chmod(SOCKET, 0o666)  # noqa: S103 - who may is decided for each caller
    listener.listen(64)
    start_thread(_accept, listener, service)


def _accept(listener: socket, service: Callable[[], Callable[[int], None]]) -> None:
    connection = accept(listener)
    serve = service()
    while True:
        start_thread(serve, connection)
        connection = accept(listener)
