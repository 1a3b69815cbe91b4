"""The verdict of a category: what `verdict.json` holds.

Every session ends in one; the report merges them. The file's shape is
`Verdict.to_json()`; docs/reference/verdict.md describes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from harness.clock import format_instant, parse_instant
from harness.errors import ExitCode
from harness.model.outcome import Outcome, exit_code_of, worst
from harness.model.run import Json

__all__ = ["Check", "Verdict"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was checked.

    Attributes:
        name: unique in its verdict.
        outcome: what came of it.
        reason: why it did not pass; empty where it passed.
        duration_s: wall time in seconds.
        location: file and line ("tests/e2b/test_x.py:12") where it did not pass; empty
            where there is none.
    """

    name: str
    outcome: Outcome
    reason: str = ""
    duration_s: float = 0.0
    location: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a category found.

    Attributes:
        session: the nox session's name, such as "smoke-mocked".
        endpoint: what stood at the far end: "emulator", "live", "live-on-emulator" or "none".
        started_at: aware, UTC.
        duration_s: wall time in seconds.
        checks: everything that was checked, in order.
        leak: a secret or a sandbox got away (exit code 5).
        interrupted: the run was ended before its end (exit code 130).
        partial: a part that was asked for by name could not run: exit code 3 where all else passed.
        details: what the category wants to add, JSON.
    """

    session: str
    endpoint: str
    started_at: datetime
    duration_s: float
    checks: tuple[Check, ...]
    leak: bool = False
    interrupted: bool = False
    partial: bool = False
    details: dict[str, Json] = field(default_factory=dict)

    @property
    def outcome(self) -> Outcome:
        """The worst of the checks; BROKEN where nothing was checked."""
        return worst(check.outcome for check in self.checks)

    @property
    def exit_code(self) -> ExitCode:
        """What the command ends with."""
        if self.leak:
            return ExitCode.LEAK
        if self.interrupted:
            return ExitCode.INTERRUPTED
        if self.partial and self.outcome is Outcome.PASSED:
            return ExitCode.NOT_RUN
        return exit_code_of(self.outcome)

    def to_json(self) -> dict[str, Json]:
        """The verdict as JSON."""
        return {
            "session": self.session,
            "outcome": self.outcome.value,
            "exit_code": int(self.exit_code),
            "endpoint": self.endpoint,
            "started_at": format_instant(self.started_at),
            "duration_s": round(self.duration_s, 3),
            "leak": self.leak,
            "interrupted": self.interrupted,
            "partial": self.partial,
            "checks": [
                {
                    "name": check.name,
                    "outcome": check.outcome.value,
                    "reason": check.reason,
                    "duration_s": round(check.duration_s, 3),
                    **({"location": check.location} if check.location else {}),
                }
                for check in self.checks
            ],
            "details": self.details,
        }

    @classmethod
    def from_json(cls, document: dict[str, Json]) -> Verdict:
        """Reads what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: if the document is not a verdict.
        """
        checks = document["checks"]
        details = document.get("details", {})
        if not isinstance(checks, list) or not isinstance(details, dict):
            raise TypeError("`checks` is a list and `details` an object")
        return cls(
            session=str(document["session"]),
            endpoint=str(document["endpoint"]),
            started_at=parse_instant(str(document["started_at"])),
            duration_s=float(str(document["duration_s"])),
            checks=tuple(_check(item) for item in checks),
            leak=bool(document.get("leak", False)),
            interrupted=bool(document.get("interrupted", False)),
            partial=bool(document.get("partial", False)),
            details=details,
        )


def _check(item: Json) -> Check:
    if not isinstance(item, dict):
        raise TypeError("a check is an object")
    return Check(
        name=str(item["name"]),
        outcome=Outcome(str(item["outcome"])),
        reason=str(item.get("reason", "")),
        duration_s=float(str(item.get("duration_s", 0.0))),
        location=str(item.get("location", "")),
    )
