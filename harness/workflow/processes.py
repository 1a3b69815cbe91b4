"""Runs one child command to its end: own process group, output passed through, no survivors.

The child gets SIGTERM when this process dies. On an interruption it is asked with
SIGINT first (pytest then runs its finalizers and ends the sandboxes), and killed
with its whole group only when it does not end in time.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.lifeline import die_with_parent

__all__ = ["Ended", "run_child"]

GRACE_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a child ended.

    Attributes:
        returncode: its exit status; negative is the signal that ended it.
        output: what it wrote, only where it was captured.
        interrupted: this process was asked to end while the child ran.
    """

    returncode: int
    output: str = ""
    interrupted: bool = False

    @property
    def last_line(self) -> str:
        """What it said last, for a message."""
        lines = self.output.strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def run_child(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    capture: bool = False,
    grace_s: float = GRACE_S,
) -> Ended:
    """Runs `command` and waits for it.

    Args:
        command: program and arguments.
        env: its whole environment; this process's own where it is left out.
        cwd: its working directory.
        capture: keep what it writes (both streams as one) instead of passing it through.
        grace_s: how long it may clean up after an interruption before it is killed.

    Raises:
        FileNotFoundError: if there is no such program.
    """
    output = subprocess.PIPE if capture else None
    with subprocess.Popen(
        list(command),
        env=None if env is None else dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if capture else None,
        text=True,
        errors="replace",
        start_new_session=True,
        preexec_fn=functools.partial(  # noqa: PLW1509 - one prctl between fork and exec
            die_with_parent, signal.SIGTERM, parent_pid=os.getpid()
        ),
    ) as child:
        try:
            text, _ = child.communicate()
        except KeyboardInterrupt:
            text = _end(child, grace_s)
            return Ended(returncode=child.returncode, output=text or "", interrupted=True)
        finally:
            _kill_group(child.pid)
    return Ended(returncode=child.returncode, output=text or "")


def _end(child: subprocess.Popen[str], grace_s: float) -> str:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGINT)
    try:
        text, _ = child.communicate(timeout=grace_s)
    except subprocess.TimeoutExpired:
        _kill_group(child.pid)
        text, _ = child.communicate()
    return text


def _kill_group(pgid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pgid, signal.SIGKILL)
