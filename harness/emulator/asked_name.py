"""Which host a connection asks for, from what it says first: TLS's server name, or HTTP's Host."""

from __future__ import annotations

import contextlib
import re
import ssl

__all__ = ["asked_name"]

_TLS_HANDSHAKE = 0x16
_HOST = re.compile(rb"\r\nhost:[ \t]*([^\s:]+)", re.IGNORECASE)


def asked_name(first: bytes) -> str:
    """The name, in lower case; empty where these bytes tell none, or not yet.

    Args:
        first: what the client sent up to now, from the connection's first byte on.
    """
    if first[:1] == bytes([_TLS_HANDSHAKE]):
        return _server_name(first).lower().rstrip(".")
    match = _HOST.search(first)
    return match[1].decode("latin-1").lower().rstrip(".") if match else ""


def _server_name(hello: bytes) -> str:
    """OpenSSL reads the greeting, and is stopped as soon as it has told the name."""
    found: list[str] = []

    def note(_connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> int:
        found.append(name or "")
        return ssl.AlertDescription.ALERT_DESCRIPTION_HANDSHAKE_FAILURE

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = note
    incoming = ssl.MemoryBIO()
    incoming.write(hello)
    reader = context.wrap_bio(incoming, ssl.MemoryBIO(), server_side=True)
    with contextlib.suppress(ssl.SSLError):  # stopped, or the greeting is not whole yet
        reader.do_handshake()
    return found[0] if found else ""
