"""Runs uv, which builds the environments of the product and of the sandboxes.

A build is minutes of work in several processes: they end with the one that asked for
it, whatever ends that one.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess

from uv import find_uv_bin

from harness.lifeline import die_with_parent

__all__ = ["call_uv"]


def call_uv(*arguments: str, timeout_s: float, umask: int = -1) -> subprocess.CompletedProcess[str]:
    """Runs uv in the caller's environment: indexes, proxies and cache are the caller's.

    Args:
        arguments: uv's own.
        timeout_s: how long it may take.
        umask: for the files that it writes; the caller's own where it is left out.

    Returns:
        What it said and its exit code, whatever that is.

    Raises:
        OSError: if uv cannot be started.
        subprocess.TimeoutExpired: if it does not end in time.
    """
    command = [find_uv_bin(), *arguments]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        umask=umask,
        start_new_session=True,
        preexec_fn=functools.partial(  # noqa: PLW1509 - one prctl between fork and exec
            die_with_parent, signal.SIGTERM, parent_pid=os.getpid()
        ),
    ) as process:
        try:
            stdout, stderr = process.communicate(timeout=timeout_s)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)
