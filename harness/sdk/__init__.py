"""How the harness itself speaks to E2B; nothing else in the package imports `e2b`.

`ApiSandboxDirectory` lists and ends sandboxes over plain HTTP, because the SDK
drops what a careful sweeper needs from the answers: `Retry-After`, `RateLimit-*`,
`X-Total-Running` and the service's `Date`. `ClientSandboxDirectory` does the same
through an SDK-like client that somebody handed us, and `collect_home` fetches what
a sandbox holds.
"""

from harness.sdk.client import ClientSandboxDirectory
from harness.sdk.directory import ApiSandboxDirectory
from harness.sdk.endpoint import ApiEndpoint
from harness.sdk.failures import IncompleteListingError
from harness.sdk.home import HomeNotCollectedError, collect_home

__all__ = [
    "ApiEndpoint",
    "ApiSandboxDirectory",
    "ClientSandboxDirectory",
    "HomeNotCollectedError",
    "IncompleteListingError",
    "collect_home",
]
