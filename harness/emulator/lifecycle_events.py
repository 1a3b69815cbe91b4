"""The lifecycle events of sandboxes: what each of them went through, with when and why.

Source: e2b-dev/infra packages/shared/pkg/events/sandbox.go, packages/orchestrator/pkg/server
/sandboxes.go; e2b.dev/docs/sandbox/lifecycle-events-api.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from harness.clock import Clock
from harness.emulator.life import Happening, SandboxLife

__all__ = ["LifecycleEvent", "LifecycleEvents"]

RETENTION = timedelta(days=7)
MAX_EVENTS = 20_000
# They end what E2B calls an execution, and say how long that was.
_ENDS_EXECUTION = frozenset({Happening.PAUSED, Happening.KILLED, Happening.CHECKPOINTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleEvent:
    """One event.

    Attributes:
        event_id: a UUID.
        happening: what happened.
        time: when, by the service's clock.
        sandbox_id: to which sandbox.
        execution_id: in which of its executions.
        template_id: what it was started from.
        build_id: which build of that.
        data: what belongs to this kind of event.
    """

    event_id: str
    happening: Happening
    time: datetime
    sandbox_id: str
    execution_id: str
    template_id: str
    build_id: str
    data: Mapping[str, Any]


class LifecycleEvents:
    """Keeps events, the oldest dropped first.

    Args:
        clock: the service's clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._events: deque[LifecycleEvent] = deque(maxlen=MAX_EVENTS)
        self._count = 0

    def add(self, happening: Happening, life: SandboxLife, data: Mapping[str, Any]) -> None:
        """One more event, of a sandbox as it is now."""
        now = self._clock.now()
        self._count += 1
        told: dict[str, Any] = {"sandbox_metadata": dict(life.metadata), **data}
        template = life.asked.template
        if happening in _ENDS_EXECUTION:
            told["execution"] = {
                "started_at": f"{life.started_at:%Y-%m-%dT%H:%M:%SZ}",
                "vcpu_count": template.cpu_count,
                "memory_mb": template.memory_mb,
                "execution_time": int((now - life.started_at).total_seconds() * 1000),
            }
        self._events.append(
            LifecycleEvent(
                event_id=_uuid(life, f"event {self._count}"),
                happening=happening,
                time=now,
                sandbox_id=life.sandbox_id,
                execution_id=_uuid(life, f"execution {life.executions}"),
                template_id=template.template_id,
                build_id=template.build_id,
                data=told,
            )
        )

    def find(
        self, sandbox_id: str | None, happenings: Collection[Happening]
    ) -> list[LifecycleEvent]:
        """Events of the last seven days, oldest first.

        Args:
            sandbox_id: of this sandbox; None of all.
            happenings: of these kinds; none named are all.
        """
        oldest = self._clock.now() - RETENTION
        return [
            event
            for event in self._events
            if event.time >= oldest
            and sandbox_id in {None, event.sandbox_id}
            and (not happenings or event.happening in happenings)
        ]

    def clear(self) -> None:
        """Forgets every event."""
        self._events.clear()
        self._count = 0


def _uuid(life: SandboxLife, what: str) -> str:
    # Not drawn like other ids: an expiry at another moment would shift those that follow.
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{life.sandbox_id} {what}"))
