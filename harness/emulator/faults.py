"""Bad weather on demand: which request is to fail, how, and how often.

A rule names a route and what happens there. Rules are tried in the order in which
they were added; the first that fits a request is used, and one that has been used up
lets requests through, because clients retry by themselves.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

__all__ = ["FIELDS", "Fault", "FaultError", "Faults"]

FIELDS: dict[str, type | tuple[type, ...]] = {
    "route": str,
    "sandbox_id": str,
    "status": int,
    "message": str,
    "body": (str, dict, list),
    "headers": dict,
    "delay_s": (int, float),
    "first_byte_s": (int, float),
    "truncate_after_bytes": int,
    "hang": bool,
    "disk_full": bool,
    "cut_after_bytes": int,
    "reset": bool,
    "vanish": bool,
    "times": int,
    "skip": int,
    "probability": (int, float),
}


_STATUSES = range(200, 600)  # what a client reads as the answer's end
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_TEXT = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_EFFECTS = frozenset(
    {
        *("status", "delay_s", "first_byte_s", "cut_after_bytes", "truncate_after_bytes"),
        *("reset", "vanish", "hang", "disk_full"),
    }
)


class FaultError(ValueError):
    """A rule cannot be understood; the message lists every problem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One rule.

    Attributes:
        fault_id: names the rule in the ledger.
        route: "METHOD /path" with `*` and `?` as wildcards in both parts; "*" is every request.
        sandbox_id: only requests about this sandbox; empty for all.
        status: answer with this status instead of serving the request.
        message: the `message` of the JSON body that goes with `status`.
        body: a whole body instead: text as it is, anything else as JSON.
        headers: further headers of that answer.
        delay_s: wait before answering; alone, the request is then served.
        first_byte_s: send the answer's head at once, and wait before the first byte of its body.
        truncate_after_bytes: end the answer in good order after so many bytes of its body.
        hang: a process that is started never does anything, and never ends by itself; any
            other request is never answered.
        disk_full: have a file's upload find no space left.
        cut_after_bytes: reset the connection after so many bytes of the answer's body.
        reset: reset the connection before any answer.
        vanish: kill the sandbox that the request is about, then serve the request.
        times: how many requests it applies to; 0 is no end.
        skip: how many fitting requests pass first.
        probability: how likely it applies to a fitting request, 0 to 1.
    """

    fault_id: str
    route: str
    sandbox_id: str = ""
    status: int | None = None
    message: str = "injected fault"
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    first_byte_s: float = 0.0
    truncate_after_bytes: int | None = None
    hang: bool = False
    disk_full: bool = False
    cut_after_bytes: int | None = None
    reset: bool = False
    vanish: bool = False
    times: int = 1
    skip: int = 0
    probability: float = 1.0

    def fits(self, method: str, path: str, sandbox_id: str) -> bool:
        """Whether a request is one that the rule speaks of."""
        if self.sandbox_id and self.sandbox_id != sandbox_id:
            return False
        if self.route == "*":
            return True
        wanted_method, _, wanted_path = self.route.partition(" ")
        return fnmatchcase(method, wanted_method.upper()) and fnmatchcase(path, wanted_path)


class Faults:
    """The rules in force and how often each has been used.

    Args:
        seed: makes `probability` repeatable.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(seed)  # noqa: S311 - weather, not secrets
        self._rules: list[Fault] = []
        self._seen: dict[str, int] = {}
        self._used: dict[str, int] = {}
        self._added = 0

    def add(self, document: Mapping[str, Any]) -> Fault:
        """Adds a rule.

        Raises:
            FaultError: if the document is not a rule; every problem is named.
        """
        problems = _problems(document)
        if problems:
            raise FaultError("; ".join(problems))
        self._added += 1
        fault = Fault(fault_id=f"fault-{self._added}", **document)
        self._rules.append(fault)
        self._seen[fault.fault_id] = 0
        self._used[fault.fault_id] = 0
        return fault

    def take(self, method: str, path: str, sandbox_id: str) -> Fault | None:
        """The rule that applies to this request, counted as used; None where none does."""
        for fault in self._rules:
            if not fault.fits(method, path, sandbox_id):
                continue
            self._seen[fault.fault_id] += 1
            if self._seen[fault.fault_id] <= fault.skip:
                continue
            if fault.times and self._used[fault.fault_id] >= fault.times:
                continue
            if fault.probability < 1 and self._random.random() >= fault.probability:
                continue
            self._used[fault.fault_id] += 1
            return fault
        return None

    def report(self) -> list[dict[str, Any]]:
        """Each rule with how many requests fitted and how many it was applied to."""
        return [
            {
                "id": fault.fault_id,
                "route": fault.route,
                "seen": self._seen[fault.fault_id],
                "applied": self._used[fault.fault_id],
                "times": fault.times,
            }
            for fault in self._rules
        ]

    def clear(self) -> None:
        """Removes every rule."""
        self._rules.clear()
        self._seen.clear()
        self._used.clear()


def _number_problems(name: str, value: float) -> list[str]:
    if value < 0:
        return [f"{name} is {value!r}, below 0"]
    if name == "status" and value not in _STATUSES:
        return [f"status is {value!r}, not from {_STATUSES[0]} to {_STATUSES[-1]}"]
    if name == "probability" and value > 1:
        return [f"probability is {value!r}, above 1"]
    return []


def _are_headers(headers: Mapping[Any, Any]) -> bool:
    return all(
        isinstance(text, str) and _HEADER_NAME.fullmatch(name) and _HEADER_TEXT.fullmatch(text)
        for name, text in headers.items()
    )


def _problems(document: Mapping[str, Any]) -> list[str]:
    problems = [f"unknown field {name!r}" for name in document if name not in FIELDS]
    for name, value in document.items():
        kind = FIELDS.get(name)
        if kind is None:
            continue
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            problems.append(f"{name} is {value!r}, which does not fit")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            problems += _number_problems(name, value)
        elif isinstance(value, dict) and name == "headers" and not _are_headers(value):
            problems.append(f"headers are {value!r}, not names with a text of one line each")
    route = document.get("route")
    if not route:
        problems.append("route is missing, such as 'POST /v2/sandboxes' or '* /files'")
    elif isinstance(route, str) and route != "*" and " /" not in route and " *" not in route:
        problems.append(f"route is {route!r}, not 'METHOD /path' or '*'")
    if not _EFFECTS & set(document):
        problems.append(f"nothing happens: one of {', '.join(sorted(_EFFECTS))} is needed")
    return problems
