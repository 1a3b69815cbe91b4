"""A certificate authority of the emulator's own, and certificates for the names it plays."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme

__all__ = ["Authority"]

MAX_CONTEXTS = 256
_LABELS_OF_WILDCARD = 3
_OWN_NAMES = ("localhost", "127.0.0.1", "::1")


class Authority:
    """Makes certificates as clients ask for names; its key is nowhere but in memory.

    Args:
        folder: where its certificate is written, for clients to trust.

    Attributes:
        certificate: its certificate alone.
        bundle: its certificate before those that this machine trusts anyway.
    """

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self._contexts: dict[str, ssl.SSLContext] = {}
        own = self._ca.cert_pem.bytes()
        self.certificate = folder / "ca.pem"
        self.certificate.write_bytes(own)
        self.bundle = folder / "ca-bundle.pem"
        self.bundle.write_bytes(own + _trusted_anyway())

    def server_context(self) -> ssl.SSLContext:
        """A context that shows each client the certificate of the name that it asks for."""
        context = self._issue(*_OWN_NAMES)
        context.sni_callback = self._choose
        return context

    def _choose(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        del context
        if name and name not in _OWN_NAMES:
            connection.context = self._of(name)

    def _of(self, name: str) -> ssl.SSLContext:
        parent = name.partition(".")[2]
        # A wildcard serves every sandbox; OpenSSL takes none below a single label.
        shared = name.count(".") + 1 >= _LABELS_OF_WILDCARD
        key = parent if shared else name
        if key not in self._contexts:
            if len(self._contexts) >= MAX_CONTEXTS:
                self._contexts.clear()
            self._contexts[key] = self._issue(*((f"*.{parent}", parent) if shared else (name,)))
        return self._contexts[key]

    def _issue(self, *names: str) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        # HTTP/2 is offered by nobody here; clients that could speak it then speak 1.1.
        context.set_alpn_protocols(["http/1.1"])
        self._ca.issue_cert(*names, key_type=trustme.KeyType.ECDSA).configure_cert(context)
        return context


def _trusted_anyway() -> bytes:
    paths = ssl.get_default_verify_paths()
    bundle = Path(paths.cafile or "/etc/ssl/certs/ca-certificates.crt")
    return bundle.read_bytes() if bundle.is_file() else b""
