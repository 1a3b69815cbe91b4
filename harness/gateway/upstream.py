"""The E2B API behind the gateway: requests are passed to it as they came.

Only what belongs to one connection is left behind (RFC 9110 §7.6.1), and `Host`
names the service. Answers keep their encoding, so no byte of a body changes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx

from harness.clock import Clock
from harness.sdk import ApiEndpoint

__all__ = ["Headers", "ServiceTime", "Upstream"]

Headers = list[tuple[bytes, bytes]]
_HOP_BY_HOP = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization"),
        *(b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"),
    }
)
_TIMEOUT = httpx.Timeout(300.0, connect=15.0, pool=15.0)


class ServiceTime:
    """The service's clock as its `Date` headers tell it; this machine's until the first.

    Args:
        clock: this machine's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._skew = timedelta(0)

    def now(self) -> datetime:
        """The service's time, within about a second."""
        return self._clock.now() + self._skew

    def monotonic_s(self) -> float:
        """This machine's seconds."""
        return self._clock.monotonic_s()

    def note(self, response: httpx.Response) -> None:
        """Learns from an answer; a second of rounding is no skew."""
        try:
            date = parsedate_to_datetime(response.headers.get("date", ""))
        except ValueError:
            return
        skew = date.astimezone(UTC) - self._clock.now()
        self._skew = skew if abs(skew) > timedelta(seconds=2) else timedelta(0)


class Upstream:
    """A client of the service that adds and hides nothing.

    Args:
        endpoint: the service.
        clock: this machine's.
    """

    def __init__(self, endpoint: ApiEndpoint, clock: Clock) -> None:
        self.endpoint = endpoint
        self.time = ServiceTime(clock)
        self._base = httpx.URL(endpoint.api_url)
        self._below = urlsplit(endpoint.api_url).path.rstrip("/")
        self._client = httpx.AsyncClient(
            # A proxy of the environment is no way to this very machine.
            trust_env=not endpoint.is_loopback,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=50),
        )

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def send(
        self,
        method: str,
        target: str,
        headers: Iterable[tuple[bytes, bytes]],
        body: bytes | AsyncIterator[bytes] | None,
    ) -> httpx.Response:
        """The answer's head; its body is still to be read with `aiter_raw` and closed.

        Args:
            method: the HTTP method.
            target: path and query as they came, still quoted.
            headers: the client's, as they came.
            body: the client's; None where it sent none.

        Raises:
            httpx.HTTPError: if no answer comes.
        """
        dropped = _named_by_connection(headers) | _HOP_BY_HOP | {b"host"}
        if isinstance(body, bytes):
            dropped |= {b"content-length"}
        request = httpx.Request(
            method,
            self._base.copy_with(raw_path=(self._below + target).encode()),
            headers=[(name, value) for name, value in headers if name not in dropped],
            content=body,
            extensions={"timeout": _TIMEOUT.as_dict()},
        )
        response = await self._client.send(request, stream=True, follow_redirects=False)
        self.time.note(response)
        return response

    async def ask(
        self, method: str, target: str, headers: Iterable[tuple[bytes, bytes]]
    ) -> httpx.Response:
        """A whole answer to a request of the gateway's own.

        Raises:
            httpx.HTTPError: if no answer comes.
        """
        response = await self.send(method, target, headers, None)
        try:
            await response.aread()
        finally:
            await response.aclose()
        return response


def passed_on(response: httpx.Response) -> Headers:
    """The answer's headers without those of its connection, in their order."""
    raw = [(name.lower(), value) for name, value in response.headers.raw]
    dropped = _named_by_connection(raw) | _HOP_BY_HOP
    return [(name, value) for name, value in raw if name not in dropped]


def _named_by_connection(headers: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    named = [value for name, value in headers if name == b"connection"]
    return frozenset(word.strip().lower() for value in named for word in value.split(b","))
