"""What a client that somebody handed us speaks to.

The SDK's own classes, synchronous or not, are only asked for their configuration,
and the API is read itself: see `harness.sdk`. Anything else that behaves like
them (`list()` that answers a paginator or a list, `kill(id)` and, where it exists,
`get_info(id)`) is used as it is, without the service's clock.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from e2b import AsyncSandbox, ConnectionConfig, Sandbox, SandboxQuery
from e2b.exceptions import (
    AuthenticationException,
    NotFoundException,
    RateLimitException,
    SandboxException,
)

from harness.errors import HarnessError, UsageError
from harness.model.sandbox import SandboxRecord
from harness.sdk.endpoint import ApiEndpoint
from harness.sdk.failures import incomplete, refused, unreachable
from harness.sdk.records import record_of_object

__all__ = ["ClientSandboxDirectory", "endpoint_of_client"]

MAX_PAGES = 10_000


def endpoint_of_client(client: Any) -> ApiEndpoint | None:
    """The endpoint that an SDK class, one of its sandboxes or an `E2B` client uses.

    None where it is no client of the SDK.

    Raises:
        NotRunError: if it has no key.
        UsageError: if it is in debug mode.
    """
    factory = getattr(client, "Sandbox", client)
    config = getattr(client, "connection_config", None)
    if isinstance(factory, type) and issubclass(factory, Sandbox | AsyncSandbox):
        # Bound by an `E2B` client; SDKs that have no such client bind nothing.
        config = ConnectionConfig(**getattr(factory, "_bound_api_params", {}))
    if not isinstance(config, ConnectionConfig):
        return None
    return ApiEndpoint.from_env(
        {
            "E2B_API_URL": config.api_url,
            "E2B_API_KEY": config.api_key or "",
            "E2B_DOMAIN": config.domain,
            "E2B_DEBUG": str(config.debug),
        }
    )


class ClientSandboxDirectory:
    """Lists, reads and ends sandboxes through the client.

    Args:
        client: an SDK-like client; an asynchronous one is refused.

    Raises:
        UsageError: if the client cannot list and kill, or is asynchronous, or in debug mode.
    """

    def __init__(self, client: Any) -> None:
        endpoint_of_client(client)  # refuses an SDK in debug mode
        self._client = _sandbox_class(client)

    def list(self, *, metadata: Mapping[str, str] | None = None) -> Sequence[SandboxRecord]:
        """Every sandbox that the client lists, all pages.

        Args:
            metadata: only sandboxes that carry all of these; None for all.

        Raises:
            ValueError: if `metadata` is empty: the SDK drops an empty filter.
            IncompleteListingError: if a row cannot be read or the pages do not end.
            HarnessError: if the service refuses or does not answer.
        """
        if metadata is not None and not metadata:
            raise ValueError("an empty metadata filter lists everything; say None for that")
        query = {"query": SandboxQuery(metadata=dict(metadata))} if metadata else {}
        try:
            records = [record_of_object(item) for item in _items(self._client.list(**query))]
        except ValueError as error:
            raise incomplete(str(error)) from error
        except HarnessError:
            raise
        except Exception as error:
            raise _mapped("list", error) from error
        return list({record.sandbox_id: record for record in records}.values())

    def get(self, sandbox_id: str) -> SandboxRecord | None:
        """The sandbox as it is now; None where it is gone.

        Raises:
            HarnessError: if the service refuses or does not answer.
        """
        if not hasattr(self._client, "get_info"):
            return next((one for one in self.list() if one.sandbox_id == sandbox_id), None)
        try:
            return record_of_object(self._client.get_info(sandbox_id))
        except NotFoundException:
            return None
        except ValueError as error:
            raise incomplete(str(error)) from error
        except Exception as error:
            raise _mapped(f"get_info({sandbox_id})", error) from error

    def kill(self, sandbox_id: str) -> bool:
        """Ends it. False where it was gone already.

        Raises:
            HarnessError: if the service refuses or does not answer.
        """
        try:
            return bool(self._client.kill(sandbox_id))
        except NotFoundException:
            return False
        except Exception as error:
            raise _mapped(f"kill({sandbox_id})", error) from error


def _sandbox_class(client: Any) -> Any:
    candidate = client if hasattr(client, "list") else getattr(client, "Sandbox", None)
    listing, kill = getattr(candidate, "list", None), getattr(candidate, "kill", None)
    if not callable(listing) or not callable(kill):
        raise UsageError(
            f"{type(client).__name__} cannot list and kill sandboxes",
            expected="e2b.Sandbox, an e2b.E2B client, a SandboxDirectory, or None for the settings",
            next_step="pass client=None to use E2B_API_KEY of the environment or testing_env/.env",
        )
    if inspect.iscoroutinefunction(kill) or "Async" in getattr(candidate, "__name__", ""):
        raise UsageError(
            f"{getattr(candidate, '__name__', type(client).__name__)} is an asynchronous client",
            expected="the synchronous class of the same SDK",
            next_step="pass e2b.Sandbox instead of e2b.AsyncSandbox",
        )
    return candidate


def _items(listing: Any) -> Iterable[object]:
    if not hasattr(listing, "next_items"):
        yield from listing
        return
    for _ in range(MAX_PAGES):
        if not listing.has_next:
            return
        yield from listing.next_items()
    raise incomplete(f"no end after {MAX_PAGES} pages")


def _mapped(what: str, error: Exception) -> HarnessError:
    """The SDK's exception as an error of three lines; the SDK keeps no answer headers."""
    words = str(error)
    if isinstance(error, AuthenticationException):
        return refused(what, 401, words, {})
    if isinstance(error, RateLimitException):
        return refused(what, 429, words, {})
    status = getattr(error, "status_code", None)
    if isinstance(error, SandboxException) and isinstance(status, int):
        return refused(what, status, words, {})
    return unreachable(f"the client's endpoint ({what})", error)
