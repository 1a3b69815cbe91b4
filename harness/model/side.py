"""The two sides that are compared, and where the remote one really runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["Endpoint", "Side"]


class Side(StrEnum):
    """Where a pipeline ran."""

    LOCAL = "local"
    E2B = "e2b"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An E2B service that a client can be pointed at.

    Attributes:
        name: "emulator", "live" or "live-on-emulator", for reports.
        env: the variables to put into the client's environment (E2B_API_URL,
            E2B_SANDBOX_URL, E2B_API_KEY …); never shown, it holds a key.
        admin_url: the emulator's or the gateway's own interface, for
            after-images; None where there is none.
        admin_token: what that interface asks for.
    """

    name: str
    env: dict[str, str] = field(repr=False)
    admin_url: str | None = None
    admin_token: str | None = field(default=None, repr=False)
