"""Names below `localhost`, found by this very process on machines whose resolver finds none.

`get_host()` answers such a name, and RFC 6761 (6.3) has it mean the loopback address
everywhere; glibc without systemd's resolver asks a name server instead. Only the Python
process that holds an emulator is changed, and only while it does.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["local_names"]

_SUFFIX = ".localhost"
_lock = threading.Lock()
_getaddrinfo = socket.getaddrinfo
_users = 0


@contextmanager
def local_names() -> Iterator[None]:
    """Has names below `localhost` resolve, for as long as anybody is in here."""
    global _getaddrinfo, _users  # noqa: PLW0603 - the resolver is the process's, and so is this
    with _lock:
        if not _users and socket.getaddrinfo is not _resolve:
            _getaddrinfo = socket.getaddrinfo
            socket.getaddrinfo = _resolve
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            # Whoever wrapped it meanwhile keeps it; without users it passes everything on.
            if not _users and socket.getaddrinfo is _resolve:
                socket.getaddrinfo = _getaddrinfo


def _resolve(host: bytes | str | None, *args: Any, **options: Any) -> Any:
    name = host.decode("latin-1") if isinstance(host, bytes) else host
    if _users and name and name.lower().rstrip(".").endswith(_SUFFIX):
        host = "127.0.0.1"
    return _getaddrinfo(host, *args, **options)
