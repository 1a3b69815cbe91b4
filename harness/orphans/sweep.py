"""Ends what the policy found due: bounded, read again before each kill, and verified after.

Nothing is ended unless it was asked for by `force`. A listing that is not whole, a
number beyond the limits, or a sandbox that changed since it was judged stop the
kill, not the report; an interruption stops what was not begun, and not the report either.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

from harness.clock import Clock, SystemClock
from harness.errors import HarnessError, LeakError, UsageError
from harness.model.sandbox import SandboxRecord
from harness.orphans.kills import Kills
from harness.orphans.ledger import LedgerView
from harness.orphans.owners import dead_runs, live_runs, ownerless
from harness.orphans.policy import Decision, Evidence, Rules, Ruling, decide
from harness.orphans.sweep_report import Ending, Fate, SweepReport
from harness.ports import AccountView, SandboxDirectory

__all__ = ["Limits", "Sweeper"]

INTERRUPTED_WAIT_S = 5.0  # for kills that are under way; a runner that cancels allows little more
SIGNAL_LOOK_S = 0.1  # a signal that another thread took does not wake the one that waits
VERIFY_PAUSES_S = (0.0, 0.5, 1.0, 2.0)  # the service's listing may lag behind its kills


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one sweep may do.

    Attributes:
        max_kill: more sandboxes than this are never ended.
        max_share: nor a larger part of the whole listing than this …
        share_from: … where at least so many are due: one orphan alone is 100 %.
        concurrency: how many requests are under way at once.
    """

    max_kill: int = 100
    max_share: float = 0.8
    share_from: int = 20
    concurrency: int = 10


class Sweeper:
    """Finds and ends orphans of one account.

    Args:
        directory: the account's sandboxes.
        rules: when a sandbox is due.
        limits: what one sweep may do.
        ledger: what this machine's gateways wrote.
        clock: this machine's; only for the skew, and where the service has none.
        sleep: waits between looks; tests hand in one that moves their clock.
    """

    def __init__(
        self,
        directory: SandboxDirectory,
        *,
        rules: Rules | None = None,
        limits: Limits | None = None,
        ledger: LedgerView | None = None,
        clock: Clock | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._directory = directory
        self._rules = rules or Rules()
        self._limits = limits or Limits()
        self._ledger = ledger or LedgerView()
        self._clock = clock or SystemClock()
        self._sleep = sleep
        _refuse_implicit_filter(self._rules)

    def judge(self) -> SweepReport:
        """Lists and judges; ends nothing.

        Raises:
            HarnessError: if the listing is not to be had, or not whole.
        """
        records = self._directory.list()
        here = self._clock.now()
        there = self._directory.service_now() if isinstance(self._directory, AccountView) else None
        now = there or here
        decisions = decide(records, now=now, rules=self._rules, evidence=self._evidence())
        due = [decision for decision in decisions if decision.ruling is Ruling.DUE]
        return SweepReport(
            dry_run=True,
            judged_at=now,
            skew=None if there is None else there - here,
            decisions=decisions,
            endings=tuple(Ending(decision=one, fate=Fate.WOULD_END) for one in due),
        )

    def sweep(self, *, force: bool = False) -> SweepReport:
        """Judges, and with `force` ends what is due and verifies it.

        Raises:
            LeakError: if more is due than the limits allow; nothing was ended then.
            HarnessError: if the first listing is not to be had, or not whole.
        """
        report = self.judge()
        return self.end(report) if force else report

    def end(self, report: SweepReport) -> SweepReport:
        """Ends what a report found due; each sandbox is read again before.

        A KeyboardInterrupt ends it early: the report then says so, and what became of each.

        Raises:
            LeakError: if more is due than the limits allow; nothing was ended then.
        """
        due = [one.decision for one in report.endings]
        self._refuse_beyond_limits(len(due), len(report.decisions))
        kills = self._end_all(due)
        endings, interrupted = tuple(map(kills.ending, due)), kills.stopped
        unverified = _INTERRUPTED if interrupted else ""
        if not interrupted:
            try:
                endings, unverified = self._verify(endings)
            except KeyboardInterrupt:
                unverified, interrupted = _INTERRUPTED, True
        return replace(
            report,
            dry_run=False,
            endings=endings,
            unverified=unverified,
            interrupted=interrupted,
        )

    def _evidence(self) -> Evidence:
        directory, left = self._directory, ownerless(self._ledger)
        return Evidence(
            created=self._ledger.created(),
            closed_books=self._ledger.closed_books(),
            dead_runs=dead_runs(self._ledger),
            live_runs=live_runs(self._ledger),
            ownerless_ids=left.sandbox_ids,
            ownerless_nonces=left.nonces,
            signed_here=directory.signed_here if isinstance(directory, AccountView) else None,
        )

    def _refuse_beyond_limits(self, due: int, listed: int) -> None:
        limits = self._limits
        if due > limits.max_kill:
            raise LeakError(
                f"{due} sandboxes are due, but one sweep may end {limits.max_kill}; none was ended",
                expected=f"at most {limits.max_kill} (--max-kill)",
                next_step=f"look at `harness orphans list`, then allow it with --max-kill {due}",
            )
        if due >= limits.share_from and due > limits.max_share * listed:
            raise LeakError(
                f"{due} of {listed} sandboxes are due, more than {limits.max_share:.0%} of all; "
                "none was ended",
                expected="most sandboxes of a team to be in use",
                next_step="look at `harness orphans list`, then allow it with --max-share 1",
            )

    def _end_all(self, due: Sequence[Decision]) -> Kills:
        kills = Kills()
        pool = ThreadPoolExecutor(self._limits.concurrency, thread_name_prefix="sweep")
        try:
            left = {pool.submit(self._end_one, one, kills) for one in due}
            while left:
                done, left = wait(left, SIGNAL_LOOK_S, FIRST_EXCEPTION)
                for future in done:
                    future.result()
        except KeyboardInterrupt:
            kills.stop(INTERRUPTED_WAIT_S)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        return kills

    def _end_one(self, decision: Decision, kills: Kills) -> None:
        judged = decision.record
        try:
            current = self._directory.get(judged.sandbox_id)
            if current is None:
                fate = Fate.ALREADY_GONE
            elif _changed(judged, current):
                fate = Fate.CHANGED
            elif not kills.begin(judged.sandbox_id):
                return
            else:
                killed = self._directory.kill(judged.sandbox_id)
                fate = Fate.ENDED if killed else Fate.ALREADY_GONE
        except HarnessError as error:
            kills.end(Ending(decision=decision, fate=Fate.FAILED, why=error.happened))
        else:
            kills.end(Ending(decision=decision, fate=fate))

    def _verify(self, endings: tuple[Ending, ...]) -> tuple[tuple[Ending, ...], str]:
        """Looks again: acknowledged kills may not have happened, and failed ones may have."""
        claimed = {one.sandbox_id for one in endings if one.fate in _CLAIMED}
        failed = {one.sandbox_id for one in endings if one.fate is Fate.FAILED}
        if not claimed | failed:
            return endings, ""
        alive: set[str] = set()
        try:
            for pause_s in VERIFY_PAUSES_S:
                if pause_s:
                    self._sleep(pause_s)
                listed = {record.sandbox_id for record in self._directory.list()}
                alive = {one for one in claimed & listed if self._directory.get(one) is not None}
                if not alive:
                    break
            gone = {one for one in failed - listed if self._directory.get(one) is None}
        except HarnessError as error:
            return endings, error.happened
        fates = dict.fromkeys(alive, Fate.STILL_ALIVE) | dict.fromkeys(gone, Fate.ALREADY_GONE)
        return tuple(replace(one, fate=fates.get(one.sandbox_id, one.fate)) for one in endings), ""


_INTERRUPTED = "the sweep was interrupted"
_CLAIMED = frozenset({Fate.ENDED, Fate.ALREADY_GONE})


def _changed(judged: SandboxRecord, current: SandboxRecord) -> bool:
    """Whether it is not the sandbox that was judged, or somebody has touched it since."""
    return (
        current.started_at != judged.started_at
        or current.state != judged.state
        or current.end_at > judged.end_at
        or dict(current.metadata) != dict(judged.metadata)
    )


def _refuse_implicit_filter(rules: Rules) -> None:
    if rules.foreign is not None and not rules.foreign.is_explicit:
        raise UsageError(
            "foreign sandboxes were included without a filter",
            expected="--include-foreign with --older-than, --metadata or --template",
            next_step="name what is meant, for instance --include-foreign --older-than 24",
        )
