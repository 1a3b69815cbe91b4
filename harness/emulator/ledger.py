"""Every request that the emulator saw, in order, redacted.

An entry is opened when a request arrives and closed when its answer has left; one
that is still open has no status. Keys, tokens and values of environment variables
never enter it.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

from harness.clock import format_instant

__all__ = ["Entry", "Ledger", "mask_values", "redact_query"]

MAX_ENTRIES = 100_000
MIN_MASKED_LENGTH = 4
_SECRET_PARAMETERS = frozenset({"signature", "api_key", "token", "access_token"})


@dataclass(slots=True, kw_only=True)
class Entry:
    """One request.

    Attributes:
        number: 1-based, in order of arrival.
        time: by the service's clock.
        method: the HTTP method.
        path: the path as it came, without the query.
        query: the query with secret parameters masked.
        area: who answered: "api", "envd", "port" or "none".
        status: the answer's status, None while it is open or when it was reset.
        duration_ms: from arrival to the last byte.
        sandbox_id: the sandbox that it was about; empty where none was.
        bytes_in: size of the request's body.
        bytes_out: size of the answer's body.
        details: what the request was about: metadata and names of variables of a
            create, the command of a process, path and size of a file.
        notes: what was not understood: unknown fields and routes.
        fault: the fault that was injected; empty where none was.
        run: the run that it belongs to.
        test: the test that ran when it arrived; empty where none was named.
        about: the sandbox that the request names, not one that it makes; not shown.
        idempotency_key: by which a client says that it asks again; not shown.
    """

    number: int
    time: datetime
    method: str
    path: str
    query: str
    area: str = "none"
    status: int | None = None
    duration_ms: float | None = None
    sandbox_id: str = ""
    bytes_in: int = 0
    bytes_out: int = 0
    details: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    fault: str = ""
    run: str = ""
    test: str = ""
    about: str = ""
    idempotency_key: str = ""

    def to_json(self) -> dict[str, Any]:
        """The entry as it stands in the JSON lines."""
        return {
            "n": self.number,
            "time": format_instant(self.time),
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "area": self.area,
            "status": self.status,
            "ms": None if self.duration_ms is None else round(self.duration_ms, 2),
            "sandbox_id": self.sandbox_id,
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "details": self.details,
            "notes": self.notes,
            "fault": self.fault,
            "run": self.run,
            "test": self.test,
        }


class Ledger:
    """The requests since the last reset, the oldest dropped past a bound."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=MAX_ENTRIES)
        self._opened = 0

    def open(self, *, time: datetime, method: str, path: str, query: str) -> Entry:
        """A new entry for a request that has just arrived."""
        self._opened += 1
        entry = Entry(
            number=self._opened, time=time, method=method, path=path, query=redact_query(query)
        )
        self._entries.append(entry)
        return entry

    def entries(self) -> tuple[Entry, ...]:
        """The entries, oldest first."""
        return tuple(self._entries)

    def lines(self) -> Iterator[str]:
        """The entries as JSON lines, oldest first."""
        for entry in tuple(self._entries):
            yield json.dumps(entry.to_json(), ensure_ascii=False, default=str) + "\n"

    def clear(self) -> None:
        """Forgets everything; numbers begin at 1 again."""
        self._entries.clear()
        self._opened = 0


def redact_query(query: str) -> str:
    """The query string with the values of secret parameters masked."""
    if not query:
        return ""
    pairs = parse_qsl(query, keep_blank_values=True)
    return urlencode([(k, "***" if k.lower() in _SECRET_PARAMETERS else v) for k, v in pairs])


def mask_values(text: str, *sources: Mapping[str, str], secrets: Iterable[str] = ()) -> str:
    """The text with every value of the given variables replaced by its name.

    Args:
        text: what is to be written to the ledger.
        sources: environment variables; values under 4 characters are left alone, as
            masking them would mask ordinary words.
        secrets: further values, replaced by `***`.
    """
    named = {value: f"[{name}]" for source in sources for name, value in source.items()}
    named.update((secret, "***") for secret in secrets if secret)
    for value in sorted(named, key=len, reverse=True):
        if len(value) >= MIN_MASKED_LENGTH:
            text = text.replace(value, named[value])
    return text
