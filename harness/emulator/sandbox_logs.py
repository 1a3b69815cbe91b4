"""The lines that E2B logs of each sandbox: its life, and the calls and processes inside.

What its processes print is not among them, as in E2B.

Source: e2b-dev/infra packages/envd/internal/logs, packages/envd/internal/services/process
/handler/handler.go, packages/shared/pkg/logs/logs.go, packages/api/internal/clusters
/resources_local.go.
"""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import IntEnum
from typing import Any

from harness.clock import Clock, format_instant

__all__ = ["Level", "LogEntry", "SandboxLogs"]

RETENTION = timedelta(days=7)
MAX_ENTRIES = 10_000  # of one sandbox; the oldest go first
MAX_ALL_ENTRIES = 200_000  # some 100 MB; the sandboxes that were first go first
_MAX_TEXT = 4096
# Go writes greater and smaller ones with an exponent.
_PLAIN_EXPONENTS = range(-4, 6)


class Level(IntEnum):
    """How grave a line is."""

    DEBUG = 0
    INFO = 1
    WARN = 2
    ERROR = 3

    @property
    def word(self) -> str:
        """As it is written."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One line.

    Attributes:
        time: when, by the service's clock.
        level: how grave.
        message: what is for people.
        fields: what is for programs.
    """

    time: datetime
    level: Level
    message: str
    fields: Mapping[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        """The line as it was written: one JSON object."""
        stamp = format_instant(self.time)
        return json.dumps(
            {"timestamp": stamp, "level": self.level.word, "message": self.message, **self.fields},
            separators=(",", ":"),
            ensure_ascii=False,
        )

    def flat_fields(self) -> dict[str, str]:
        """The fields as strings; what is an object or a list is not among them."""
        flat = {"timestamp": format_instant(self.time)}
        for name, value in self.fields.items():
            if isinstance(value, bool):
                flat[name] = "true" if value else "false"
            elif isinstance(value, str):
                flat[name] = value
            elif isinstance(value, int | float):
                flat[name] = _go_float(value)
        return flat


class SandboxLogs:
    """Keeps the lines of sandboxes, also of those that ended, within bounds.

    Args:
        clock: the service's clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: OrderedDict[str, deque[LogEntry]] = OrderedDict()
        self._count = 0

    def add(self, sandbox_id: str, level: Level, message: str, **fields: Any) -> None:
        """One more line; a text of more than 4096 characters is cut."""
        entry = LogEntry(
            time=self._clock.now(),
            level=level,
            message=message,
            fields={name: _cut(value) for name, value in fields.items()},
        )
        of_sandbox = self._entries.get(sandbox_id)
        if of_sandbox is None:
            of_sandbox = self._entries[sandbox_id] = deque(maxlen=MAX_ENTRIES)
        self._count += len(of_sandbox) < MAX_ENTRIES
        of_sandbox.append(entry)
        while self._count > MAX_ALL_ENTRIES and len(self._entries) > 1:
            _, dropped = self._entries.popitem(last=False)
            self._count -= len(dropped)

    def between(self, sandbox_id: str, start: datetime, end: datetime) -> list[LogEntry]:
        """The lines of a sandbox from `start` to `end`, oldest first; none of an unknown one."""
        return [entry for entry in self._entries.get(sandbox_id, ()) if start <= entry.time < end]

    def clear(self) -> None:
        """Forgets every line."""
        self._entries.clear()
        self._count = 0


def _cut(value: Any) -> Any:
    if not isinstance(value, str) or len(value) <= _MAX_TEXT:
        return value
    return f"{value[:_MAX_TEXT]}… ({len(value) - _MAX_TEXT} more characters)"


def _go_float(value: float) -> str:
    """A number as Go's strconv.FormatFloat(value, 'G', -1, 64) writes it."""
    number = Decimal(repr(float(value))).normalize()
    sign, digits, _ = number.as_tuple()
    exponent = number.adjusted()
    if not number:
        return "0"
    if exponent in _PLAIN_EXPONENTS:
        return f"{number:f}"
    mantissa = str(digits[0]) + ("." + "".join(map(str, digits[1:])) if len(digits) > 1 else "")
    return f"{'-' if sign else ''}{mantissa}E{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
