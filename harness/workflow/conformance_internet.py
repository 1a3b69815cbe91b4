"""The stand-in internet that E2B's public suite finds: three hosts that it asks for by name.

Each answers over TLS as its namesake does to the suite's one question; the authority
that vouches for them is made for the run, and sandboxes trust it.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme

__all__ = ["stand_in"]

# What https://<name> answers. Source: e2b-dev/E2B packages/python-sdk/tests (test_network.py,
# test_internet_access.py).
_BY_ADDRESS = {"1.1.1.1": 301, "8.8.8.8": 302}
_BY_NAME = {"connectivitycheck.gstatic.com": 204}
DOCUMENT = "internet.json"
_POLL_S = 0.02  # how soon a server hears that it is to stop


@contextmanager
def stand_in(folder: Path) -> Iterator[Path]:
    """The hosts, for the length of the block.

    Yields:
        The file for `harness emulator serve --internet`, below the folder, for all to read.
    """
    authority = trustme.CA()
    with ExitStack() as stack:
        hosts: list[dict[str, object]] = []
        for name, status in {**_BY_ADDRESS, **_BY_NAME}.items():
            place = stack.enter_context(_responder(name, status, authority))
            named = {"address": name} if name in _BY_ADDRESS else {"names": [name]}
            hosts.append({**named, "ports": {"443": place}})
        document = {"hosts": hosts, "ca": authority.cert_pem.bytes().decode("ascii")}
        file = folder / DOCUMENT
        file.write_text(json.dumps(document), encoding="utf-8")
        file.chmod(0o644)
        yield file


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, status: int, context: ssl.SSLContext) -> None:
        self.status = status
        self._context = context
        super().__init__(("127.0.0.1", 0), _Answer)

    def finish_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]  # a socket is all that comes
        """Speaks TLS in the request's own thread: a client that hangs up keeps nobody waiting."""
        try:
            secure = self._context.wrap_socket(request, server_side=True)
        except OSError:
            return  # the client left, or does not trust the authority
        with secure:
            super().finish_request(secure, client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that left in the middle is its own affair."""


class _Answer(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """The status of the host, and where it would lead."""
        self.send_response(self.server.status)
        self.send_header("Location", "https://example.com/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_HEAD(self) -> None:
        """The same; there is no body anyway."""
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Stays silent."""


@contextmanager
def _responder(name: str, status: int, authority: trustme.CA) -> Iterator[str]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    with _Server(status, context) as server:
        thread = threading.Thread(
            target=server.serve_forever, args=(_POLL_S,), name=f"stand-in {name}"
        )
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
