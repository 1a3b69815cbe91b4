"""Ties a process to the one that started it.

A supervisor that gets SIGTERM or SIGKILL leaves its children running (nox dies at
once and forwards nothing), and a child that nobody waits for keeps sandboxes
alive. Linux can send a signal to a child when its parent dies; elsewhere this is a
no-op. The emulator and the gateway watch their parent by means of their own.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

__all__ = ["die_with_parent"]

_PR_SET_PDEATHSIG = 1  # Source: linux/prctl.h


def die_with_parent(signum: signal.Signals = signal.SIGTERM, *, parent_pid: int = 0) -> bool:
    """Has the kernel send `signum` to this process when its parent dies.

    Safe between fork and exec (`preexec_fn`).

    Args:
        signum: the signal to get.
        parent_pid: the parent as the caller knew it before the fork; where it is
            gone already, the signal is sent at once. 0 skips that check.

    Returns:
        Whether the kernel took it.
    """
    if sys.platform != "linux":
        return False
    taken: bool = ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signum)) == 0
    if taken and parent_pid and os.getppid() != parent_pid:
        os.kill(os.getpid(), signum)
    return taken
