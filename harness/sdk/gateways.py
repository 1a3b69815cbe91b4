"""What stands behind an endpoint on this machine."""

from __future__ import annotations

import httpx

from harness.sdk.endpoint import ApiEndpoint

__all__ = ["service_behind"]

_ASK_S = 5.0


def service_behind(endpoint: ApiEndpoint) -> ApiEndpoint:
    """The endpoint itself, or the service to which a gateway of this machine passes requests.

    Anything on this machine that is no gateway answers otherwise, or not at all, and
    is the far end itself.
    """
    if not endpoint.is_loopback:
        return endpoint
    try:
        answer = httpx.get(f"{endpoint.api_url}/_harness/upstream", timeout=_ASK_S, trust_env=False)
        document = answer.json() if answer.is_success else None
    except (httpx.HTTPError, ValueError):
        return endpoint
    url = document.get("api_url") if isinstance(document, dict) else None
    if not isinstance(url, str):
        return endpoint
    return ApiEndpoint(
        api_url=url.rstrip("/"),
        api_key=endpoint.api_key,
        sandbox_url=endpoint.sandbox_url,
        domain=endpoint.domain,
    )
