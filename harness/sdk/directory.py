"""The sandboxes of an account, over E2B's API itself.

Source: e2b-dev/infra packages/api (GET /v2/sandboxes, GET and DELETE /sandboxes/{id});
e2b 2.63.0 e2b/sandbox_sync/paginator.py for the quoting of the metadata filter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlencode

import httpx

from harness.model.sandbox import OwnershipTags, SandboxRecord
from harness.sdk.endpoint import ApiEndpoint
from harness.sdk.failures import incomplete
from harness.sdk.records import record_of_json
from harness.sdk.requests import ApiRequests

__all__ = ["ApiSandboxDirectory"]

PAGE = 100  # the service's maximum
MAX_PAGES = 10_000
LISTING_ATTEMPTS = 3
_FOUND = frozenset({200})
_MAYBE_GONE = frozenset({200, 204, 404})


class ApiSandboxDirectory:
    """Lists, reads and ends sandboxes; a `SandboxDirectory` and an `AccountView`.

    Args:
        endpoint: where, and with which key.
        requests: stands in for the client that is made for the endpoint.

    Attributes:
        endpoint: where, and with which key.
    """

    def __init__(self, endpoint: ApiEndpoint, *, requests: ApiRequests | None = None) -> None:
        self.endpoint = endpoint
        self._requests = requests or ApiRequests(endpoint)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._requests.close()

    def service_now(self) -> datetime | None:
        """The service's clock by its last answer; never ahead of it."""
        return self._requests.service_now()

    def signed_here(self, tags: OwnershipTags) -> bool:
        """Whether the tags were signed with this endpoint's key."""
        return tags.is_signed_with(self.endpoint.api_key.reveal())

    def list(self, *, metadata: Mapping[str, str] | None = None) -> Sequence[SandboxRecord]:
        """Every running and paused sandbox of the team, all pages, newest first.

        Args:
            metadata: only sandboxes that carry all of these; None for all.

        Raises:
            ValueError: if `metadata` is empty: the service would take it for "all".
            IncompleteListingError: if the pages do not add up.
            HarnessError: if the service refuses or does not answer.
        """
        if metadata is not None and not metadata:
            raise ValueError("an empty metadata filter lists everything; say None for that")
        seen: frozenset[str] | None = None
        for _ in range(LISTING_ATTEMPTS):
            records, promised, pages = self._read_pages(metadata)
            running = frozenset(one.sandbox_id for one in records if one.state == "running")
            missing = promised - len(running)
            # With a filter, services differ in what the header counts.
            if metadata is not None or missing <= 0:
                return records
            # Some may have ended while the pages were read: as many as did since the last time.
            if pages > 1 and seen is not None and missing <= len(seen - running):
                return records
            seen = running
        raise incomplete(f"{missing} of {promised} running sandboxes were not listed")

    def get(self, sandbox_id: str) -> SandboxRecord | None:
        """The sandbox as it is now; None where it is gone.

        Raises:
            HarnessError: if the service refuses or does not answer.
        """
        answer = self._requests.send("GET", _path(sandbox_id), accepted=_MAYBE_GONE)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        try:
            return record_of_json(answer.json())
        except ValueError as error:
            raise incomplete(f"{sandbox_id}: {error}") from error

    def kill(self, sandbox_id: str) -> bool:
        """Ends it, with its snapshot if it is paused. False where it was gone already.

        Raises:
            HarnessError: if the service refuses or does not answer.
        """
        answer = self._requests.send("DELETE", _path(sandbox_id), accepted=_MAYBE_GONE)
        return answer.status_code != httpx.codes.NOT_FOUND

    def _read_pages(
        self, metadata: Mapping[str, str] | None
    ) -> tuple[Sequence[SandboxRecord], int, int]:
        """Records, how many running ones the first page promised, number of pages."""
        query = {"limit": str(PAGE), "state": "running,paused"}
        if metadata is not None:
            quoted = {quote(name): quote(value) for name, value in metadata.items()}
            query["metadata"] = urlencode(quoted)
        found: dict[str, SandboxRecord] = {}
        tokens: set[str] = set()
        promised = 0
        for page in range(1, MAX_PAGES + 1):
            answer = self._requests.send("GET", "/v2/sandboxes", params=query, accepted=_FOUND)
            for record in _rows(answer):
                found[record.sandbox_id] = record
            if page == 1:
                promised = _count(answer)
            token = answer.headers.get("x-next-token", "")
            if not token:
                return tuple(found.values()), promised, page
            if token in tokens:
                raise incomplete(f"page {page} points back to a page that was read")
            tokens.add(token)
            query["nextToken"] = token
        raise incomplete(f"no end after {MAX_PAGES} pages")


def _path(sandbox_id: str) -> str:
    return f"/sandboxes/{quote(sandbox_id, safe='')}"


def _rows(answer: httpx.Response) -> list[SandboxRecord]:
    try:
        rows = answer.json()
        if not isinstance(rows, list):
            raise ValueError(f"a list was expected, not {type(rows).__name__}")  # noqa: TRY004, TRY301 - one border for bad pages
        return [record_of_json(row) for row in rows]
    except ValueError as error:
        raise incomplete(str(error)) from error


def _count(answer: httpx.Response) -> int:
    text = answer.headers.get("x-total-running", "")
    return int(text) if text.isdecimal() else 0
