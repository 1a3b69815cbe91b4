"""Connects a call to a port of the sandbox, raw bytes both ways."""

from __future__ import annotations

import contextlib
import socket
import threading

from .frames import CHUNK_BYTES, Channel, Fault, HangUp

__all__ = ["carry", "dial"]

_TIMEOUT_S = 10.0


def dial(channel: Channel, port: int) -> None:
    """Carries bytes until both sides have ended.

    Raises:
        Fault: `failed_precondition`, if nothing listens there.
    """
    target = _connect(port)
    channel.event({"event": "connected"})
    carry(channel, target)


def carry(channel: Channel, target: socket.socket) -> None:
    """Carries bytes between a call and a connection until both have ended; closes the latter."""
    outwards = threading.Thread(target=_carry_out, args=(target, channel), daemon=True)
    outwards.start()
    try:
        for chunk in channel.chunks():
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)
        outwards.join()
    except OSError:
        outwards.join()  # the service stopped listening to us; what it says is still carried
    except HangUp:
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
        raise
    finally:
        target.close()


def _connect(port: int) -> socket.socket:
    for host in ("127.0.0.1", "::1"):
        try:
            target = socket.create_connection((host, port), timeout=_TIMEOUT_S)
        except OSError:
            continue
        target.settimeout(None)
        target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return target
    raise Fault("failed_precondition", f"nothing listens on port {port}")


def _carry_out(target: socket.socket, channel: Channel) -> None:
    try:
        with contextlib.suppress(OSError):
            while True:
                data = target.recv(CHUNK_BYTES)
                if not data:
                    break
                channel.data(data)
        channel.end_of_data()
    except HangUp:
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
