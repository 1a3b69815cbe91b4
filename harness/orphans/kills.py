"""What became of each kill of one sweep, and the stop that an interruption makes of it."""

from __future__ import annotations

import threading

from harness.orphans.policy import Decision
from harness.orphans.sweep_report import Ending, Fate

__all__ = ["Kills"]


class Kills:
    """Written by the threads that kill, read by the one that waits for them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._under_way: set[str] = set()
        self._over: dict[str, Ending] = {}
        self._stopped = False

    @property
    def stopped(self) -> bool:
        """Whether nothing new is begun."""
        return self._stopped

    def begin(self, sandbox_id: str) -> bool:
        """Whether it may be killed; it then is under way until `end`."""
        with self._changed:
            if self._stopped:
                return False
            self._under_way.add(sandbox_id)
            return True

    def end(self, ending: Ending) -> None:
        """It is known what became of one."""
        with self._changed:
            self._over[ending.sandbox_id] = ending
            self._under_way.discard(ending.sandbox_id)
            self._changed.notify_all()

    def stop(self, wait_s: float) -> None:
        """Has nothing new begin, and gives what is under way a moment to end."""
        with self._changed:
            self._stopped = True
            self._changed.wait_for(lambda: not self._under_way, wait_s)

    def ending(self, decision: Decision) -> Ending:
        """What is known of one that was due."""
        sandbox_id = decision.record.sandbox_id
        with self._changed:
            fate = Fate.UNDER_WAY if sandbox_id in self._under_way else Fate.NOT_TRIED
            return self._over.get(sandbox_id) or Ending(decision=decision, fate=fate)
