"""A sandbox directory in memory that does what it is told; it passes the same contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from harness.clock import ManualClock
from harness.errors import BrokenError, HarnessError
from harness.model.sandbox import OwnershipTags, SandboxRecord

KEY = "e2b_" + "1" * 40


def failure(words: str = "500 as ordered") -> BrokenError:
    return BrokenError(words, expected="an answer", next_step="again")


@dataclass
class ScriptedDirectory:
    clock: ManualClock = field(default_factory=ManualClock)
    records: dict[str, SandboxRecord] = field(default_factory=dict)
    kills: list[str] = field(default_factory=list)
    lists: int = 0
    fail_list_from: int | None = None
    interrupt_list_from: int | None = None
    fail_kill: dict[str, HarnessError] = field(default_factory=dict)
    immortal: set[str] = field(default_factory=set)
    before_get: dict[str, Callable[[ScriptedDirectory], None]] = field(default_factory=dict)
    before_kill: dict[str, Callable[[], None]] = field(default_factory=dict)

    def plant(
        self,
        sandbox_id: str,
        *,
        age_s: float = 0.0,
        timeout_s: float = 300.0,
        end_in_s: float | None = None,
        run_id: str = "run-1",
        owner: str = "ann@host:1",
        ours: bool = True,
        state: str = "running",
        metadata: Mapping[str, str] | None = None,
    ) -> SandboxRecord:
        now = self.clock.now()
        started_at = now - timedelta(seconds=age_s)
        tags = OwnershipTags(
            run_id=run_id,
            owner=owner,
            created_at=started_at - timedelta(milliseconds=200),
            expires_at=started_at + timedelta(seconds=timeout_s, milliseconds=-200),
            nonce=sandbox_id,
        ).signed(KEY)
        end_at = started_at + timedelta(seconds=timeout_s)
        if end_in_s is not None:
            end_at = now + timedelta(seconds=end_in_s)
        record = SandboxRecord(
            sandbox_id=sandbox_id,
            template_id="base",
            state=state,
            started_at=started_at,
            end_at=end_at,
            metadata={**(tags.to_metadata() if ours else {}), **(metadata or {})},
        )
        self.records[sandbox_id] = record
        return record

    def renew(self, sandbox_id: str, seconds: float) -> None:
        record = self.records[sandbox_id]
        self.records[sandbox_id] = replace(
            record, end_at=self.clock.now() + timedelta(seconds=seconds)
        )

    def service_now(self) -> datetime | None:
        return self.clock.now()

    def signed_here(self, tags: OwnershipTags) -> bool:
        return tags.is_signed_with(KEY)

    def list(self, *, metadata: Mapping[str, str] | None = None) -> Sequence[SandboxRecord]:
        if metadata is not None and not metadata:
            raise ValueError("an empty metadata filter lists everything")
        self.lists += 1
        if self.fail_list_from is not None and self.lists >= self.fail_list_from:
            raise failure("the list of sandboxes is incomplete: as ordered")
        if self.interrupt_list_from is not None and self.lists >= self.interrupt_list_from:
            raise KeyboardInterrupt
        wanted = (metadata or {}).items()
        rows = [one for one in self.records.values() if wanted <= one.metadata.items()]
        return sorted(rows, key=lambda one: one.started_at, reverse=True)

    def get(self, sandbox_id: str) -> SandboxRecord | None:
        if (script := self.before_get.pop(sandbox_id, None)) is not None:
            script(self)
        return self.records.get(sandbox_id)

    def kill(self, sandbox_id: str) -> bool:
        if (script := self.before_kill.pop(sandbox_id, None)) is not None:
            script()
        self.kills.append(sandbox_id)
        if sandbox_id in self.fail_kill:
            raise self.fail_kill[sandbox_id]
        if sandbox_id in self.immortal:
            return True
        return self.records.pop(sandbox_id, None) is not None
