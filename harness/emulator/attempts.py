"""What a client did about bad weather: how often it asked again, and how long it waited."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

from harness.emulator.ledger import Entry

__all__ = ["Attempts", "attempts_after"]

# Longer than any client waits before it asks again.
MAX_WAIT = timedelta(minutes=5)
_SERVER_ERRORS_FROM = 500
_TOO_MANY = 429


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """One thing that a client wanted, and every request for it.

    Attributes:
        request: method and path.
        statuses: of each request; None where the connection was reset.
        waits_s: between the end of each request and the next.
    """

    request: str
    statuses: tuple[int | None, ...]
    waits_s: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """The attempts as the admin interface shows them."""
        return {
            "request": self.request,
            "attempts": len(self.statuses),
            "statuses": [*self.statuses],
            "waits_s": [round(wait_s, 3) for wait_s in self.waits_s],
        }


def attempts_after(entries: Iterable[Entry], fault_id: str) -> list[Attempts]:
    """What clients did about one fault, each from the first request that it struck.

    A request counts as another attempt where it asks for the same as the failed one before: by
    its Idempotency-Key where there is one, else by method, path, query and sandbox.

    Args:
        entries: the ledger's, in order.
        fault_id: the fault.
    """
    open_chains: dict[Hashable, list[Entry]] = {}
    chains: list[list[Entry]] = []
    for entry in entries:
        key = entry.idempotency_key or (entry.method, entry.path, entry.query, entry.about)
        chain = open_chains.get(key)
        if chain is not None and entry.time - chain[-1].time <= MAX_WAIT:
            chain.append(entry)
        elif entry.fault == fault_id:
            chain = open_chains[key] = [entry]
            chains.append(chain)
        else:
            continue
        if _is_well(entry):
            del open_chains[key]
    return [_summed(chain) for chain in chains]


def _is_well(entry: Entry) -> bool:
    status = entry.status
    return status is not None and status < _SERVER_ERRORS_FROM and status != _TOO_MANY


def _summed(chain: list[Entry]) -> Attempts:
    waits_s = []
    for before, after in pairwise(chain):
        ended = before.time + timedelta(milliseconds=before.duration_ms or 0)
        waits_s.append(max(0.0, (after.time - ended).total_seconds()))
    return Attempts(
        request=f"{chain[0].method} {chain[0].path}",
        statuses=tuple(entry.status for entry in chain),
        waits_s=tuple(waits_s),
    )
