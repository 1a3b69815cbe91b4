"""What E2B's refusals and silences become: errors of three lines each.

No message quotes a request header, so none can show the key.
"""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from harness.errors import BrokenError, HarnessError, UsageError

__all__ = [
    "IncompleteListingError",
    "RateLimitedError",
    "closed",
    "incomplete",
    "refused",
    "unreachable",
]

_LIMIT_HEADERS = ("retry-after", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset")
_MAX_WORDS = 200


class IncompleteListingError(BrokenError):
    """The list of sandboxes is not known to be whole, so nothing may be concluded from it."""


class RateLimitedError(BrokenError):
    """E2B went on limiting requests until the patience ran out."""


def unreachable(url: str, error: Exception) -> BrokenError:
    """No answer came: no such host, refused, cut off, too late."""
    why = str(error) or type(error).__name__
    return BrokenError(
        f"no answer from E2B at {url}: {why}",
        expected="an E2B API that answers there",
        next_step="check the network, E2B_API_URL and E2B_DOMAIN; an emulator must still run",
    )


def closed(what: str) -> BrokenError:
    """The client was closed while a request waited for its turn."""
    return BrokenError(
        f"{what} was given up: the client was closed",
        expected="requests to be over before their client is closed",
        next_step="run the same command again",
    )


def incomplete(why: str) -> IncompleteListingError:
    """The listing cannot be trusted."""
    return IncompleteListingError(
        f"the list of sandboxes is incomplete: {why}",
        expected="every running and paused sandbox, all pages",
        next_step="run the same command again; nothing was ended",
    )


def refused(what: str, status: int, words: str, headers: Mapping[str, str]) -> HarnessError:
    """The service answered, but not with what was asked for.

    Args:
        what: the request, such as "GET /v2/sandboxes".
        status: the HTTP status.
        words: the service's own message.
        headers: the answer's headers.
    """
    said = " ".join(words.split())[:_MAX_WORDS]
    if status in {401, 403}:
        return UsageError(
            f"E2B refused the key: {status} on {what}: {said}",
            expected="a valid key of the team whose sandboxes are meant",
            next_step="check E2B_API_KEY in the environment and in testing_env/.env "
            "against the API keys of the dashboard",
        )
    if status == httpx.codes.TOO_MANY_REQUESTS:
        known = {name: headers[name] for name in _LIMIT_HEADERS if name in headers}
        shown = ", ".join(f"{name}: {value}" for name, value in known.items()) or "no limit headers"
        return RateLimitedError(
            f"E2B limits requests: 429 on {what}: {said} ({shown})",
            expected="an answer within the patience of one request",
            next_step="wait for the limit to pass, then run again with a smaller --concurrency",
        )
    return BrokenError(
        f"E2B answered {status} on {what}: {said}",
        expected="the answer that E2B's API describes for this request",
        next_step="run again; if it stays, see the service's status page",
    )
