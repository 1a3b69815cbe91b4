"""Records what a client sends to an endpoint: a relay on loopback, in memory alone.

Bytes pass unchanged in both directions. What was sent is parsed afterwards, so that
a body can be searched that no ledger keeps; it never leaves the process.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httptools

from harness.model.side import Endpoint

__all__ = ["RecordedRequest", "RequestRecorder"]

_CHUNK_BYTES = 64 * 1024
_URL_VARIABLES = ("E2B_API_URL", "E2B_SANDBOX_URL")
MAX_RECORDED_BYTES = 256 * 1024 * 1024


@dataclass(slots=True, kw_only=True)
class RecordedRequest:
    """A request as the client sent it.

    Attributes:
        method: of HTTP.
        target: path and query.
        headers: in order, names in lower case.
        body: decoded from its transfer encoding.
    """

    method: str = ""
    target: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list, repr=False)
    body: bytes = field(default=b"", repr=False)


class RequestRecorder:
    """A relay to an endpoint of this machine; a context manager.

    Args:
        endpoint: where requests are passed on to; plain HTTP on loopback.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        url = urlsplit(endpoint.env["E2B_API_URL"])
        self._upstream = (url.hostname or "127.0.0.1", url.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sent: list[bytearray] = []
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        here = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.endpoint = replace(
            endpoint, env={**endpoint.env, **dict.fromkeys(_URL_VARIABLES, here)}
        )
        self.truncated = False

    def __enter__(self) -> Self:
        """Begins to listen."""
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends every connection and thread."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            sockets, threads = tuple(self._open), tuple(self._threads)
        for connection in sockets:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()

    def requests(self) -> list[RecordedRequest]:
        """What was sent up to now, a connection after the other."""
        with self._lock:
            streams = [bytes(sent) for sent in self._sent]
        return [request for stream in streams for request in _parsed(stream)]

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, name="recorder")  # type: ignore[arg-type]  # a bound method
        with self._lock:
            self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed: the recorder ends
                return
            try:
                server = socket.create_connection(self._upstream)
            except OSError:  # the client sees what it would have seen: nobody answers
                client.close()
                continue
            sent = bytearray()
            with self._lock:
                self._sent.append(sent)
                self._open |= {client, server}
            self._start(self._pump, client, server, sent)
            self._start(self._pump, server, client, None)

    def _pump(self, source: socket.socket, sink: socket.socket, sent: bytearray | None) -> None:
        try:
            while data := source.recv(_CHUNK_BYTES):
                if sent is not None:
                    self._record(sent, data)
                sink.sendall(data)
        except OSError:  # one side has reset the connection; so does the other
            pass
        finally:
            for connection in (source, sink):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            with self._lock:
                self._open.discard(source)
            source.close()

    def _record(self, sent: bytearray, data: bytes) -> None:
        with self._lock:
            if sum(map(len, self._sent)) + len(data) > MAX_RECORDED_BYTES:
                self.truncated = True
            else:
                sent += data


class _Requests:
    """Takes what the parser tells."""

    def __init__(self) -> None:
        self.found: list[RecordedRequest] = []
        self.parser: httptools.HttpRequestParser | None = None

    def on_message_begin(self) -> None:
        self.found.append(RecordedRequest())

    def on_url(self, url: bytes) -> None:
        self.found[-1].target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.found[-1].headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self.parser is not None:
            self.found[-1].method = self.parser.get_method().decode("ascii")

    def on_body(self, body: bytes) -> None:
        self.found[-1].body += body


def _parsed(stream: bytes) -> list[RecordedRequest]:
    """The requests of one connection; what is no HTTP is one request without a method."""
    requests = _Requests()
    requests.parser = parser = httptools.HttpRequestParser(requests)
    try:
        parser.feed_data(stream)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        requests.found.append(RecordedRequest(body=stream))
    return requests.found
