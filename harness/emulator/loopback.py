"""Sockets on the loopback address, and on no other."""

from __future__ import annotations

import socket

from harness.errors import BrokenError

__all__ = ["HOST", "bind"]

HOST = "127.0.0.1"
BACKLOG = 2048


def bind(port: int) -> socket.socket:
    """A socket on the loopback address.

    Args:
        port: which; 0 takes any free one.

    Raises:
        BrokenError: where the port is taken, or may not be had.
    """
    # With the protocol named, asyncio turns Nagle's algorithm off for each connection.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((HOST, port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise BrokenError(
            f"port {port} on {HOST} cannot be had: {error.strerror or error}",
            expected="a free port for the emulator",
            next_step="harness emulator serve --port 0",
        ) from error
    sock.setblocking(False)
    return sock
