"""How the harness itself speaks to E2B; nothing else in the package imports `e2b`.

`ApiSandboxDirectory` lists and ends sandboxes over plain HTTP, because the SDK
drops what a careful sweeper needs from the answers: `Retry-After`, `RateLimit-*`,
`X-Total-Running` and the service's `Date`. `harness.sdk.client` understands any
client that can list and kill, and `harness.sdk.home` fetches, through the SDK, what
a sandbox holds; these two are imported where they are needed, as the SDK takes a
second to import.
"""

from harness.sdk.directory import ApiSandboxDirectory
from harness.sdk.endpoint import ApiEndpoint
from harness.sdk.failures import IncompleteListingError

__all__ = ["ApiEndpoint", "ApiSandboxDirectory", "IncompleteListingError"]
