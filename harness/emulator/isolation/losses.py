"""What this machine's way of isolating sandboxes does not keep apart."""

from __future__ import annotations

from harness.emulator.isolation.bubblewrap import SHARED_ID_LOSSES
from harness.emulator.isolation.model import IsolationMode
from harness.emulator.isolation.process_mode import LOSSES
from harness.emulator.isolation.user_ids import can_map_range

__all__ = ["losses"]


def losses(
    mode: IsolationMode = IsolationMode.BUBBLEWRAP, *, own_ids: bool | None = None
) -> tuple[str, ...]:
    """What sandboxes of a mode lose against E2B's, each as one sentence; empty for nothing.

    Args:
        mode: what isolates them.
        own_ids: whether their users have ids of their own; None asks this process's rights.
    """
    if mode is IsolationMode.PROCESS:
        return LOSSES
    return () if (can_map_range() if own_ids is None else own_ids) else SHARED_ID_LOSSES
