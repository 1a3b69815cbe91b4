"""Puts the ownership tags into the body of a create request; nothing else is touched.

Source: e2b-dev/infra packages/api/internal/handlers/sandbox_create.go: an absent
`timeout` is 15 seconds on /sandboxes and 300 on /v2/sandboxes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from harness import __version__
from harness.clock import Clock
from harness.model.sandbox import OwnershipTags

__all__ = ["CREATE_PATHS", "Stamp", "Stamped"]

MAX_LIFE_S = 366 * 24 * 3600  # far beyond what any service grants; it refuses such a body itself
MAX_TEST_ID = 200  # of a long one the end is kept: the test's own name
# Path of a create request, and the life of a sandbox whose body names none.
CREATE_PATHS: Mapping[str, int] = {"/sandboxes": 15, "/v2/sandboxes": 300}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamped:
    """A create request on its way.

    Attributes:
        body: what to send on.
        metadata: the tags that were added; empty where the body could not be read,
            which the service will refuse by itself.
    """

    body: bytes
    metadata: Mapping[str, str]


@dataclass(slots=True, kw_only=True)
class Stamp:
    """What a run writes on its sandboxes.

    Attributes:
        run_id: the run.
        owner: who owns it.
        clock: says when a request passed; the service's time as far as it is known.
        host: the machine.
        test_id: the test that runs now; whoever starts and ends tests sets it.
    """

    run_id: str
    owner: str
    clock: Clock
    host: str = ""
    test_id: str = ""

    def put(self, body: bytes, *, default_timeout_s: int, nonce: str, api_key: str) -> Stamped:
        """The body with the tags among its metadata.

        Args:
            body: the request's body as it came.
            default_timeout_s: the life of a sandbox whose body names none.
            nonce: tells this request from every other.
            api_key: the client's own; signs the tags.
        """
        try:
            fields = json.loads(body)
        except (ValueError, RecursionError):
            return Stamped(body=body, metadata={})
        if not isinstance(fields, dict):
            return Stamped(body=body, metadata={})
        given = fields.get("metadata")
        if given is not None and not isinstance(given, dict):
            return Stamped(body=body, metadata={})
        timeout_s = _life_s(fields.get("timeout"), default_timeout_s)
        now = self.clock.now()
        tags = OwnershipTags(
            run_id=self.run_id,
            owner=self.owner,
            created_at=now,
            expires_at=now + timedelta(seconds=timeout_s),
            nonce=nonce,
            host=self.host,
            test_id=self.test_id[-MAX_TEST_ID:],
            harness=__version__,
        )
        metadata = (tags.signed(api_key) if api_key else tags).to_metadata()
        fields["metadata"] = {**(given or {}), **metadata}
        # In ASCII, because half of a surrogate pair could not be written otherwise.
        stamped = json.dumps(fields, separators=(",", ":")).encode()
        return Stamped(body=stamped, metadata=metadata)


def _life_s(asked: object, default_timeout_s: int) -> int:
    """What the service would grant; its default where it will refuse what was asked."""
    if not isinstance(asked, int) or isinstance(asked, bool):
        return default_timeout_s
    return asked if 0 < asked <= MAX_LIFE_S else default_timeout_s
