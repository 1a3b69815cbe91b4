"""Requests to E2B's API that wait politely and give up honestly.

A 429 pauses every thread of the client, not only the one that got it, for as long
as `Retry-After` says; failures of the service and of the network are tried again
with growing pauses. Only requests that may be repeated are sent this way.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx

from harness.clock import Clock, SystemClock
from harness.sdk.endpoint import ApiEndpoint
from harness.sdk.failures import closed, refused, unreachable

__all__ = ["ApiRequests", "Patience"]

_TRANSIENT = frozenset({409, 500, 502, 503, 504})  # 409: the sandbox is in change


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long one request is pursued.

    Attributes:
        attempts: how often it is sent while the service or the network fails.
        limited_s: how long it waits, over all, while the service limits requests.
        first_pause_s: the pause after the first failure; it doubles from there.
        longest_pause_s: no single pause is longer.
        timeout_s: how long one attempt may take.
    """

    attempts: int = 5
    limited_s: float = 120.0
    first_pause_s: float = 0.25
    longest_pause_s: float = 30.0
    timeout_s: float = 30.0


class ApiRequests:
    """A client of E2B's API; safe for threads.

    Args:
        endpoint: where, and with which key.
        patience: how long to pursue one request.
        clock: measures waiting and the service's clock.
        sleep: waits; tests hand in one that moves their clock.
        connections: how many connections are kept.
    """

    def __init__(
        self,
        endpoint: ApiEndpoint,
        *,
        patience: Patience | None = None,
        clock: Clock | None = None,
        sleep: Callable[[float], object] | None = None,
        connections: int = 16,
    ) -> None:
        self.endpoint = endpoint
        self._closed = threading.Event()
        self._patience = patience or Patience()
        self._clock = clock or SystemClock()
        self._sleep = sleep or self._closed.wait
        self._lock = threading.Lock()
        self._not_before_s = 0.0
        self._service_date: tuple[datetime, float] | None = None
        self._client = httpx.Client(
            base_url=endpoint.api_url,
            headers={"X-API-Key": endpoint.api_key.reveal()},
            timeout=self._patience.timeout_s,
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            # A proxy of the environment is no way to this very machine.
            trust_env=not endpoint.is_loopback,
        )

    def close(self) -> None:
        """Closes the connections; whoever waits for a turn or a retry gives up."""
        self._closed.set()
        self._client.close()

    def service_now(self) -> datetime | None:
        """The service's clock by its last `Date` header; behind it by at most a second."""
        with self._lock:
            if self._service_date is None:
                return None
            date, at_s = self._service_date
        return date + timedelta(seconds=self._clock.monotonic_s() - at_s)

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        accepted: frozenset[int] = frozenset({200}),
    ) -> httpx.Response:
        """The answer to a request that may be repeated.

        Args:
            method: GET or DELETE.
            path: below the API's base, already quoted.
            params: the query, not yet quoted.
            accepted: the statuses that are an answer.

        Raises:
            HarnessError: if the service refuses, or neither answers nor recovers in time.
        """
        failures, limited_s = 0, 0.0
        while True:
            self._wait_for_turn()
            if self._closed.is_set():
                raise closed(f"{method} {path}")
            try:
                response = self._client.request(method, path, params=params)
            except (httpx.TransportError, httpx.InvalidURL) as error:
                failures += 1
                if failures >= self._patience.attempts or isinstance(error, httpx.InvalidURL):
                    raise unreachable(self.endpoint.api_url, error) from error
                self._sleep(self._pause_s(failures))
                continue
            self._note_date(response)
            if response.status_code in accepted:
                return response
            pause_s = self._retry_after_s(response)
            if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
                pause_s = pause_s or self._pause_s(1)
                limited_s += pause_s
                if limited_s > self._patience.limited_s:
                    raise self._refused(method, path, response)
                self._hold_all(pause_s)
                continue
            failures += 1
            if response.status_code not in _TRANSIENT or failures >= self._patience.attempts:
                raise self._refused(method, path, response)
            self._sleep(pause_s or self._pause_s(failures))

    def _refused(self, method: str, path: str, response: httpx.Response) -> Exception:
        return refused(
            f"{method} {path}", response.status_code, _message(response), response.headers
        )

    def _wait_for_turn(self) -> None:
        with self._lock:
            wait_s = self._not_before_s - self._clock.monotonic_s()
        if wait_s > 0:
            self._sleep(wait_s)

    def _hold_all(self, pause_s: float) -> None:
        with self._lock:
            self._not_before_s = max(self._not_before_s, self._clock.monotonic_s() + pause_s)

    def _pause_s(self, failures: int) -> float:
        pause_s: float = self._patience.first_pause_s * 2 ** (failures - 1)
        jitter = 0.5 + random.random() / 2  # noqa: S311 - spreads retries, guards nothing
        return min(pause_s, self._patience.longest_pause_s) * jitter

    def _retry_after_s(self, response: httpx.Response) -> float:
        """Seconds that the service asks for; 0 where it asks for none."""
        text = response.headers.get("retry-after", "").strip()
        if text.isdecimal():
            return min(float(text), self._patience.longest_pause_s)
        instant = _http_date(text)
        if instant is None:
            return 0.0
        wait_s = (instant - (self.service_now() or self._clock.now())).total_seconds()
        return min(max(wait_s, 0.0), self._patience.longest_pause_s)

    def _note_date(self, response: httpx.Response) -> None:
        date = _http_date(response.headers.get("date", ""))
        if date is not None:
            with self._lock:
                self._service_date = (date, self._clock.monotonic_s())


def _http_date(text: str) -> datetime | None:
    try:
        instant = parsedate_to_datetime(text)
    except ValueError:
        return None
    return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)


def _message(response: httpx.Response) -> str:
    try:
        document = response.json()
    except ValueError:
        return response.text
    return str(document.get("message", document)) if isinstance(document, dict) else str(document)
