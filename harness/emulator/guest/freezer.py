"""Stops every process of the sandbox but the agent, and lets them go on."""

from __future__ import annotations

import os
import time

from .lean import signal, suppress
from .metrics import descendants

__all__ = ["freeze", "thaw"]

_DEADLINE_S = 5.0
_PAUSE_S = 0.001
_STANDING = frozenset("TtZX")


def freeze() -> None:
    """Stops them all; returns when they stand, or sleep in the kernel where no signal reaches."""
    _signal_all(signal.SIGSTOP)
    give_up_at = time.monotonic() + _DEADLINE_S
    while time.monotonic() < give_up_at and any(_runs(pid) for pid in _others()):
        time.sleep(_PAUSE_S)


def thaw() -> None:
    """Lets them go on."""
    _signal_all(signal.SIGCONT)


def _signal_all(number: int) -> None:
    if os.getpid() == 1:
        with suppress(ProcessLookupError):  # there is no other process
            os.kill(-1, number)  # one step of the kernel: nothing can fork past it
        return
    # Outside a pid namespace -1 would mean this whole machine.
    for pid in _others():
        with suppress(ProcessLookupError):
            os.kill(int(pid), number)


def _others() -> list[str]:
    if os.getpid() == 1:
        return [name for name in os.listdir("/proc") if name.isdigit() and name != "1"]
    return descendants(os.getpid())[1:]


def _runs(pid: str) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            state = file.read().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in _STANDING
