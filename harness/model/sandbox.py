"""A sandbox as E2B lists it, and the tags that prove that it is ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from harness.clock import format_instant, parse_instant

__all__ = ["TAG_PREFIX", "OwnershipTags", "SandboxRecord"]

TAG_PREFIX = "harness_"


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxRecord:
    """One row of E2B's listing.

    Attributes:
        sandbox_id: E2B's id.
        template_id: the template that it was made from.
        state: "running" or "paused".
        started_at: by the service's clock; aware.
        end_at: when the service ends it; aware.
        metadata: what its creator wrote to it.
    """

    sandbox_id: str
    template_id: str
    state: str
    started_at: datetime
    end_at: datetime
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnershipTags:
    """What the emulator and the gateway write into a sandbox's metadata.

    Attributes:
        run_id: the run that created it.
        owner: who runs the harness: `<user>@<host>:<pid>`.
        created_at: when the request passed, by the harness's clock.
        expires_at: when nobody needs it any more, by the harness's clock.
    """

    run_id: str
    owner: str
    created_at: datetime
    expires_at: datetime

    def to_metadata(self) -> dict[str, str]:
        """The tags as E2B metadata: strings under keys that begin with `harness_`."""
        return {
            f"{TAG_PREFIX}run": self.run_id,
            f"{TAG_PREFIX}owner": self.owner,
            f"{TAG_PREFIX}created": format_instant(self.created_at),
            f"{TAG_PREFIX}expires": format_instant(self.expires_at),
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> OwnershipTags | None:
        """The tags that a sandbox carries; None unless all are there and readable."""
        try:
            return cls(
                run_id=metadata[f"{TAG_PREFIX}run"],
                owner=metadata[f"{TAG_PREFIX}owner"],
                created_at=parse_instant(metadata[f"{TAG_PREFIX}created"]),
                expires_at=parse_instant(metadata[f"{TAG_PREFIX}expires"]),
            )
        except (KeyError, ValueError):
            return None
