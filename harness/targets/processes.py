"""Runs a program in a process group of its own, with a deadline and captured streams.

The group dies with the harness, on every path: at the deadline, at `close()`, and
by the kernel's hand where the harness itself is killed.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.errors import BrokenError
from harness.targets.streams import STREAM_LIMIT_BYTES, StreamCapture

__all__ = ["GRACE_S", "ProcessGroup", "describe_exit"]

GRACE_S = 3.0
_LAUNCH = Path(__file__).with_name("launch.py")

# The kernel's "die with the parent" follows the thread that started the process, not
# the parent as a whole. One thread that lives as long as the harness starts them all.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="process-starter")


class ProcessGroup:
    """A running program, its group and its output. Use it as a context manager.

    Args:
        command: the program as an absolute path, and its arguments.
        cwd: its working directory.
        env: its whole environment.
        pass_fds: descriptors that it inherits.
        stream_limit_bytes: how much of each stream is kept.

    Raises:
        BrokenError: if the program cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        pass_fds: Sequence[int] = (),
        stream_limit_bytes: int = STREAM_LIMIT_BYTES,
    ) -> None:
        argv = [sys.executable, "-I", "-S", str(_LAUNCH), str(os.getpid()), *command]
        try:
            self._process: subprocess.Popen[bytes] = _starter.submit(
                subprocess.Popen,
                argv,
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=tuple(pass_fds),
                start_new_session=True,
            ).result()
        except OSError as error:
            raise BrokenError(
                f"cannot start {command[0]}: {error}",
                expected="a program that this machine can run",
                next_step="run `harness doctor`",
            ) from error
        if self._process.stdout is None or self._process.stderr is None:
            raise AssertionError("Popen was asked for both pipes")
        self._streams = StreamCapture(
            {"stdout": self._process.stdout, "stderr": self._process.stderr},
            limit_bytes=stream_limit_bytes,
        )
        self._pidfd = os.pidfd_open(self._process.pid)

    @property
    def pid(self) -> int:
        """The leader's process id, which is also the group's."""
        return self._process.pid

    @property
    def exit_fd(self) -> int:
        """A descriptor that becomes readable when the leader has ended."""
        return self._pidfd

    @property
    def returncode(self) -> int | None:
        """The leader's exit code, negative for a signal; None until `end` was called."""
        return self._process.returncode

    @property
    def stdout(self) -> str:
        """What it wrote to standard output up to now."""
        return self._streams.text("stdout")

    @property
    def stderr(self) -> str:
        """What it wrote to standard error up to now."""
        return self._streams.text("stderr")

    def wait(self, timeout_s: float) -> bool:
        """Waits for the leader; whether it has ended."""
        if self._process.returncode is not None:
            return True
        with selectors.DefaultSelector() as selector:
            selector.register(self._pidfd, selectors.EVENT_READ)
            return bool(selector.select(max(0.0, timeout_s)))

    def end(self, *, grace_s: float = GRACE_S) -> int:
        """Ends what still runs of the group, politely first; the leader's exit code.

        Args:
            grace_s: how long the leader has between SIGTERM and SIGKILL.
        """
        if self._process.returncode is not None:
            return self._process.returncode
        if not self.wait(0):
            self._signal(signal.SIGTERM)
            self.wait(grace_s)
        # The leader is not reaped yet, so its number still means this group and no other.
        self._signal(signal.SIGKILL)
        code = self._process.wait()
        self._streams.close()
        os.close(self._pidfd)
        return code

    def abort(self) -> None:
        """Asks the group to end, from any thread; its owner still has to call `end`."""
        if self._process.returncode is None:
            self._signal(signal.SIGTERM)

    def interrupt(self) -> None:
        """Does what a person's Ctrl-C does: SIGINT to the whole group, from any thread."""
        if self._process.returncode is None:
            self._signal(signal.SIGINT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return


def describe_exit(code: int) -> str:
    """An exit code in words: "exit code 3", or the signal's name."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
