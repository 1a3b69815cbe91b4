"""A client of the admin interface, for any endpoint that offers one.

The gateway before the real service offers the routes of after-images too, so the
client takes an `Endpoint` and not an emulator.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit

from harness.emulator.admin.unpack import unpack_tar
from harness.errors import BrokenError, UsageError
from harness.model.side import Endpoint

__all__ = ["AdminClient"]

ANSWER_DEADLINE_S = 60.0
_ERRORS_FROM = 400


class AdminClient:
    """Asks the admin interface of an endpoint.

    Args:
        endpoint: an emulator or a gateway.

    Raises:
        UsageError: the endpoint has no admin interface.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        if endpoint.admin_url is None or endpoint.admin_token is None:
            raise UsageError(
                f"the endpoint {endpoint.name!r} has no admin interface",
                expected="an emulator, or the gateway before the live service",
                next_step="harness emulator serve --json",
            )
        self._endpoint = endpoint
        self._url = urlsplit(endpoint.admin_url)
        self._token = endpoint.admin_token

    def __enter__(self) -> Self:
        """The client; every call has a connection of its own."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing is left open."""

    def reset(self) -> None:
        """Ends every sandbox, and forgets requests, faults, after-images and advances."""
        self._json("POST", "/reset")

    def set_internet(self, hosts: Sequence[Mapping[str, Any]], *, authority: str = "") -> None:
        """What sandboxes that are created from now on find outside.

        Args:
            hosts: each with `names`, `ports` (port to "127.0.0.1:port") and, where it matters,
                an `address`.
            authority: PEM certificates that sandboxes are to trust.
        """
        self._json("PUT", "/internet", {"hosts": [*hosts], "ca": authority})

    def begin_test(self, test_id: str) -> None:
        """What is created from now on carries the id of this test; empty for none."""
        self._json("PUT", "/test", {"test_id": test_id})

    def sandboxes(self) -> list[dict[str, Any]]:
        """Every sandbox since the last reset, those that ended included.

        Each has sandbox_id, template, state, started_at, end_at, ended_at, end_reason,
        metadata, env_names and creator (its command line and those of its ancestors).
        """
        found: list[dict[str, Any]] = self._json("GET", "/sandboxes")
        return found

    def after_images(self) -> list[dict[str, Any]]:
        """The sandboxes whose files are kept after their end, in the order of the ends.

        Each has sandbox_id, metadata, ended_at, end_reason, size_bytes and files.
        """
        found: list[dict[str, Any]] = self._json("GET", "/after-images")
        return found

    def fetch_after_image(self, sandbox_id: str, into: Path, *, path: str = "/home/user") -> Path:
        """Copies the files of a sandbox, running or ended, below a folder.

        Args:
            sandbox_id: the sandbox.
            into: the folder; made where it is missing. Names are relative to /home/user.
            path: which subtree of the sandbox.

        Returns:
            The folder.

        Raises:
            BrokenError: nothing is kept of the sandbox, or the interface does not answer.
        """
        query = urlencode({"path": path})
        with self._request("GET", f"/after-images/{quote(sandbox_id)}?{query}") as answer:
            unpack_tar(io.BufferedReader(answer), into)
        return into

    def ledger(self) -> list[dict[str, Any]]:
        """Every request since the last reset, in order of arrival."""
        with self._request("GET", "/ledger") as answer:
            return [json.loads(line) for line in answer]

    def asked(self, route: str, *, sandbox_id: str = "") -> list[dict[str, Any]]:
        """The requests since the last reset that fit, in order; for assertions.

        Args:
            route: such as "POST /v2/sandboxes", "DELETE /sandboxes/*" or "*".
            sandbox_id: only requests about this sandbox.
        """
        method, _, path = route.partition(" ")
        return [
            entry
            for entry in self.ledger()
            if (
                route == "*"
                or (fnmatchcase(entry["method"], method) and fnmatchcase(entry["path"], path))
            )
            and sandbox_id in {"", entry["sandbox_id"]}
        ]

    def now(self) -> str:
        """The service's time, as RFC 3339."""
        return str(self._json("GET", "/clock")["now"])

    def advance(self, seconds: float) -> None:
        """Moves the service's clock; when this returns, what fell due has happened."""
        self._json("POST", "/clock", {"advance_s": seconds})

    def fault(self, route: str, **effects: Any) -> str:
        """Adds bad weather.

        Args:
            route: such as "POST /v2/sandboxes", "* /files" or "*".
            effects: `status`, `message`, `body`, `headers`, `delay_s`, `first_byte_s`,
                `reset`, `cut_after_bytes`, `truncate_after_bytes`, `vanish`, `hang`,
                `disk_full`; and how often: `times`, `skip`, `probability`, `sandbox_id`.

        Returns:
            The rule's id, as the ledger names it.
        """
        added = self._json("POST", "/faults", {"route": route, **effects})
        return str(added["id"])

    def faults(self) -> list[dict[str, Any]]:
        """Each rule with how many requests fitted, how many it was applied to, and what followed.

        Its `clients` tell of each thing that a client wanted: request, attempts, statuses and
        waits_s, the seconds between the end of one attempt and the next.
        """
        found: list[dict[str, Any]] = self._json("GET", "/faults")
        return found

    def clear_faults(self) -> None:
        """Removes every rule."""
        self._json("DELETE", "/faults")

    def _json(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        with self._request(method, path, body) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    @contextmanager
    def _request(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection(
            self._url.hostname or "", self._url.port, timeout=ANSWER_DEADLINE_S
        )
        headers = {"x-harness-token": self._token, "content-type": "application/json"}
        data = None if body is None else json.dumps(body)
        try:
            connection.request(method, self._url.path + path, data, headers)
            answer = connection.getresponse()
            if answer.status >= _ERRORS_FROM:
                raise self._refused(method, path, answer)
            yield answer
        except (OSError, http.client.HTTPException, tarfile.TarError) as error:
            raise BrokenError(
                f"{self._endpoint.name}'s admin interface failed {method} {path}: {error!r}",
                expected=f"an answer within {ANSWER_DEADLINE_S:.0f} s",
                next_step="look at the log of the emulator; is it still running?",
            ) from error
        finally:
            connection.close()

    def _refused(self, method: str, path: str, answer: http.client.HTTPResponse) -> BrokenError:
        text = answer.read().decode(errors="replace")
        with contextlib.suppress(ValueError, KeyError, TypeError):
            text = str(json.loads(text)["message"])
        return BrokenError(
            f"{self._endpoint.name}'s admin interface refused {method} {path}: "
            f"{answer.status} {text}",
            expected="a request that it understands",
            next_step="compare the request with docs/reference/emulator.md",
        )
