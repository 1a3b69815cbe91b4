"""The stamp on every sandbox: who made it, in which run, and until when it is needed.

The product under test labels its sandboxes with nothing, so whoever finds one that
runs on cannot tell whose it is. The emulator adds the tags on the way in; they
outlive the client, however that ended.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping
from datetime import timedelta

from harness import __version__
from harness.clock import Clock
from harness.emulator.life import NewSandbox
from harness.model.sandbox import OwnershipTags

__all__ = ["OWNER_HEADER", "RUN_HEADER", "Ownership", "this_process"]

MAX_TEST_ID = 200  # of a long one the end is kept: the test's own name
RUN_HEADER = "x-harness-run"
OWNER_HEADER = "x-harness-owner"


def this_process() -> str:
    """Who runs the emulator: `<user>@<host>:<pid>`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in a container
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}:{os.getpid()}"


class Ownership:
    """Makes the stamp for each create request.

    Args:
        clock: the service's clock.
        run_id: the run that requests belong to which name none.
        owner: who the sandboxes belong to.
        enabled: False stamps nothing.

    Attributes:
        test_id: the test that runs now; whoever starts and ends tests sets it.
    """

    def __init__(self, clock: Clock, *, run_id: str, owner: str, enabled: bool = True) -> None:
        self._clock = clock
        self._run_id = run_id
        self._owner = owner
        self._enabled = enabled
        self.test_id = ""

    def run_of(self, headers: Mapping[str, str]) -> str:
        """The run that a request belongs to."""
        return headers.get(RUN_HEADER) or self._run_id

    def stamp(self, asked: NewSandbox, headers: Mapping[str, str]) -> dict[str, str]:
        """The metadata to add to a sandbox that is about to be listed.

        Args:
            asked: the create request.
            headers: its headers; `X-Harness-Run` names another run.
        """
        key = headers.get("x-api-key", "")
        carried = OwnershipTags.from_metadata(asked.metadata)
        if not self._enabled or (carried is not None and carried.is_signed_with(key)):
            return {}  # a gateway stands in front and has stamped it already
        now = self._clock.now()
        tags = OwnershipTags(
            run_id=self.run_of(headers),
            owner=headers.get(OWNER_HEADER) or self._owner,
            created_at=now,
            expires_at=now + timedelta(seconds=asked.timeout_s),
            host=socket.gethostname(),
            test_id=self.test_id[-MAX_TEST_ID:],
            harness=__version__,
        )
        return tags.signed(key).to_metadata()
