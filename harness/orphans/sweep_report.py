"""What a sweep found and did, and the exit code that says so."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from harness.clock import format_instant
from harness.errors import ExitCode, LeakError
from harness.model.run import Json
from harness.orphans.policy import Decision, Ruling

__all__ = ["Ending", "Fate", "SweepReport"]


class Fate(StrEnum):
    """What became of a sandbox that was due."""

    WOULD_END = "would be ended"
    ENDED = "ended"
    ALREADY_GONE = "already gone"
    CHANGED = "changed since it was judged, so left alone"
    FAILED = "could not be ended"
    STILL_ALIVE = "acknowledged as ended, but still alive"
    NOT_TRIED = "not tried, because the sweep was interrupted"
    UNDER_WAY = "asked for when the sweep was interrupted; no answer was waited for"


_OVER = frozenset({Fate.ENDED, Fate.ALREADY_GONE})
_LEFT = frozenset({Fate.WOULD_END, Fate.FAILED, Fate.STILL_ALIVE, Fate.NOT_TRIED, Fate.UNDER_WAY})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """One sandbox that was due, and what became of it.

    Attributes:
        decision: why it was due.
        fate: what became of it.
        why: the service's words, where it could not be ended.
    """

    decision: Decision
    fate: Fate
    why: str = ""

    @property
    def sandbox_id(self) -> str:
        """E2B's id."""
        return self.decision.record.sandbox_id


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepReport:
    """One sweep.

    Attributes:
        dry_run: nothing was ended.
        judged_at: the service's time at the listing.
        skew: the service's clock minus this machine's; None where it was not measured.
        decisions: every sandbox of the listing, in its order.
        endings: those that were due, in the same order.
        unverified: why the second listing says nothing; empty where it does.
        interrupted: it was stopped before its end, so that the fates are those until then.
    """

    dry_run: bool
    judged_at: datetime
    skew: timedelta | None
    decisions: tuple[Decision, ...]
    endings: tuple[Ending, ...] = field(default=())
    unverified: str = ""
    interrupted: bool = False

    @property
    def orphans(self) -> tuple[str, ...]:
        """Ids of what was ended, or would be in a dry run."""
        fates = {Fate.WOULD_END} if self.dry_run else _OVER
        return tuple(one.sandbox_id for one in self.endings if one.fate in fates)

    @property
    def left(self) -> tuple[Ending, ...]:
        """What was due and is, as far as is known, still alive."""
        return tuple(one for one in self.endings if one.fate in _LEFT)

    @property
    def exit_code(self) -> ExitCode:
        """LEAK where an orphan is left, BROKEN where that is not known, or INTERRUPTED."""
        if self.interrupted:
            return ExitCode.INTERRUPTED
        if self.left:
            return ExitCode.LEAK
        return ExitCode.BROKEN if self.unverified else ExitCode.PASSED

    def raise_if_left(self) -> None:
        """Says what is left.

        Raises:
            KeyboardInterrupt: if the sweep was interrupted; with what it had ended until then.
            LeakError: if something that was to be ended is still alive, or may be.
        """
        if self.interrupted:
            ended = ", ".join(self.orphans) or "none"
            left = ", ".join(one.sandbox_id for one in self.left) or "none"
            raise KeyboardInterrupt(f"the sweep was interrupted; ended: {ended}; left: {left}")
        if self.dry_run or not (self.left or self.unverified):
            return
        named = [
            f"{one.sandbox_id} ({one.fate}{': ' if one.why else ''}{one.why})" for one in self.left
        ]
        what = "; ".join(named) if named else f"not verified: {self.unverified}"
        raise LeakError(
            f"{len(self.left)} of {len(self.endings)} orphaned sandboxes are left: {what}",
            expected="every one of them ended, and gone from a second listing",
            next_step="run `harness orphans sweep --force` again",
        )

    def counts(self) -> dict[str, int]:
        """How many sandboxes got each ruling, and each fate."""
        rulings = Counter(decision.ruling.value for decision in self.decisions)
        fates = Counter(one.fate.value for one in self.endings)
        return {"listed": len(self.decisions), **_all(Ruling, rulings), **fates}

    def to_json(self) -> dict[str, Json]:
        """The report as JSON; docs/how-to/clean-up-orphans.md describes it."""
        fates = {one.sandbox_id: one for one in self.endings}
        return {
            "dry_run": self.dry_run,
            "judged_at": format_instant(self.judged_at),
            "skew_s": None if self.skew is None else round(self.skew.total_seconds(), 3),
            "counts": dict(self.counts()),
            "orphans": list(self.orphans),
            "left": [one.sandbox_id for one in self.left],
            "unverified": self.unverified,
            "interrupted": self.interrupted,
            "exit_code": int(self.exit_code),
            "sandboxes": [
                _row(decision, fates.get(decision.record.sandbox_id)) for decision in self.decisions
            ],
        }


def _row(decision: Decision, ending: Ending | None) -> dict[str, Json]:
    record = decision.record
    return {
        "sandbox_id": record.sandbox_id,
        "template_id": record.template_id,
        "state": record.state,
        "started_at": format_instant(record.started_at),
        "end_at": format_instant(record.end_at),
        "age_s": round(decision.age.total_seconds()),
        "run_id": decision.tags.run_id if decision.tags else None,
        "owner": decision.tags.owner if decision.tags else None,
        "ruling": decision.ruling.value,
        "reason": decision.reason.value,
        "fate": ending.fate.value if ending else None,
        "why": ending.why if ending else "",
    }


def _all(names: type[StrEnum], counted: Counter[str]) -> dict[str, int]:
    return {name.value: counted[name.value] for name in names}
