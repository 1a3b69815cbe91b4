"""A sandbox as E2B lists it, and the tags that prove that it is ours."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from harness.clock import format_instant, parse_instant

__all__ = ["TAG_PREFIX", "OwnershipTags", "SandboxRecord"]

TAG_PREFIX = "harness_"
# Tags that may be missing, and their fields.
_OPTIONAL = {
    "nonce": "nonce",
    "host": "host",
    "test": "test_id",
    "version": "harness",
    "proof": "proof",
}


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
        template_name: the template's own name; empty where the listing says none.
    """

    sandbox_id: str
    template_id: str
    state: str
    started_at: datetime
    end_at: datetime
    metadata: Mapping[str, str]
    template_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnershipTags:
    """What the emulator and the gateway write into a sandbox's metadata.

    Attributes:
        run_id: the run that created it.
        owner: who runs the harness: `<user>@<host>:<pid>`.
        created_at: when the request passed, by the harness's clock.
        expires_at: when nobody needs it any more, by the harness's clock.
        nonce: one create request; empty where nobody set one.
        host: the machine that the owner runs on; empty where nobody said.
        test_id: the test that created it; empty outside of tests.
        harness: the version of the harness that wrote the tags; empty where nobody said.
        proof: a keyed digest of the other tags, made with the account's API key, so
            that edited tags and those of another deployment are told apart from
            ours; empty where nobody signed.
    """

    run_id: str
    owner: str
    created_at: datetime
    expires_at: datetime
    nonce: str = ""
    host: str = ""
    test_id: str = ""
    harness: str = ""
    proof: str = ""

    def to_metadata(self) -> dict[str, str]:
        """The tags as E2B metadata: strings under keys that begin with `harness_`."""
        metadata = {
            f"{TAG_PREFIX}run": self.run_id,
            f"{TAG_PREFIX}owner": self.owner,
            f"{TAG_PREFIX}created": format_instant(self.created_at),
            f"{TAG_PREFIX}expires": format_instant(self.expires_at),
        }
        optional = {name: getattr(self, field) for name, field in _OPTIONAL.items()}
        return metadata | {f"{TAG_PREFIX}{name}": text for name, text in optional.items() if text}

    def signed(self, api_key: str) -> OwnershipTags:
        """The same tags with the proof that the holder of this key makes."""
        return replace(self, proof=self._digest(api_key))

    def is_signed_with(self, api_key: str) -> bool:
        """Whether the holder of this key signed exactly these tags."""
        return hmac.compare_digest(self.proof.encode(), self._digest(api_key).encode())

    def _digest(self, api_key: str) -> str:
        # Two steps, so that what the metadata shows is not keyed with the API key itself.
        secret = hmac.digest(api_key.encode(), b"harness ownership", "sha256")
        fields = replace(self, proof="").to_metadata()
        message = "\0".join(f"{name}={fields[name]}" for name in sorted(fields))
        return hmac.new(secret, message.encode(), hashlib.sha256).hexdigest()[:32]

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> OwnershipTags | None:
        """The tags that a sandbox carries; None unless all are there and readable."""
        try:
            return cls(
                run_id=metadata[f"{TAG_PREFIX}run"],
                owner=metadata[f"{TAG_PREFIX}owner"],
                created_at=parse_instant(metadata[f"{TAG_PREFIX}created"]),
                expires_at=parse_instant(metadata[f"{TAG_PREFIX}expires"]),
                **{
                    field: metadata.get(f"{TAG_PREFIX}{name}", "")
                    for name, field in _OPTIONAL.items()
                },
            )
        except (KeyError, ValueError):
            return None
