"""Where a program runs: on this machine, or in a sandbox. One runner for both.

A place is made for one run. `run` leaves the runner's answer in the run's folder.
"""

from __future__ import annotations

import shlex
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from harness.clock import Clock
from harness.errors import BrokenError
from harness.model.run import ExecutionContext
from harness.sdk.command_run import CommandSandbox
from harness.sdk.endpoint import ApiEndpoint
from harness.targets.command.conversation import ANSWERS, COLLECT_BYTES, RUNNER, write_spec
from harness.targets.command.program import CommandProgram
from harness.targets.processes import ProcessGroup, describe_exit

__all__ = ["SANDBOX_BASE", "LocalPlace", "Pace", "Place", "SandboxPlace"]

SANDBOX_BASE = "/home/user/parity"
_AROUND_S = 120  # for unpacking, scanning and packing
_INSTALL_S = 240
_LIFETIME_S = 300 + _INSTALL_S  # beside the deadline: until the files are fetched


class Place(Protocol):
    """Somewhere to run a program once."""

    base: str

    @property
    def sandbox_id(self) -> str | None:
        """E2B's id; None where there is no sandbox."""
        ...

    def run(self, program: CommandProgram, context: ExecutionContext) -> None:
        """Runs it; the job's archive is in the context's folder, the answer will be."""
        ...

    def abort(self) -> None:
        """Ends what runs, from any thread."""
        ...

    def close(self) -> None:
        """Ends everything that was started."""
        ...


@dataclass(slots=True)
class Pace:
    """Has two local runs begin in different seconds.

    A program that writes the time down to the second would else write the same twice,
    and what is noise would not show as noise.
    """

    clock: Clock
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _last_s: float = 0.0

    def next_second(self, stopped: threading.Event) -> None:
        """Returns in a second in which nothing has begun, or when `stopped` is set."""
        with self._lock:
            now_s = self.clock.now().timestamp()
            if int(now_s) == int(self._last_s):
                stopped.wait(int(now_s) + 1 - now_s)
            self._last_s = self.clock.now().timestamp()


class LocalPlace:
    """This machine: a child process in a group of its own.

    Args:
        base: the run's folder.
        pace: keeps local runs apart.
    """

    def __init__(self, base: Path, pace: Pace) -> None:
        self.base = str(base)
        self._pace = pace
        self._group: ProcessGroup | None = None
        self._stopped = threading.Event()

    @property
    def sandbox_id(self) -> str | None:
        """None: there is no sandbox."""
        return None

    def run(self, program: CommandProgram, context: ExecutionContext) -> None:
        """Runs it.

        Raises:
            BrokenError: if the runner ends without an answer.
        """
        spec = context.base_path / "spec.json"
        write_spec(spec, program, base=self.base, search=program.path)
        self._pace.next_second(self._stopped)
        self._group = ProcessGroup(
            [sys.executable, "-I", "-S", str(RUNNER), str(spec)],
            cwd=context.base_path,
            env={"PATH": program.path, "LANG": "C.UTF-8"},
        )
        if self._stopped.is_set():
            self._group.abort()
        ended = self._group.wait(program.deadline_s + _AROUND_S)
        code = self._group.end()
        if code != 0 or not ended:
            words = self._group.stderr.strip().splitlines()[-1:]
            raise BrokenError(
                f"the runner beside the program ended with {describe_exit(code)}: {''.join(words)}",
                expected="the runner to outlive the program, and room on the disk",
                next_step="run again; a program may not end processes that it did not start",
            )

    def abort(self) -> None:
        """Ends what runs, from any thread."""
        self._stopped.set()
        if self._group is not None:
            self._group.abort()

    def close(self) -> None:
        """Ends everything that was started."""
        if self._group is not None:
            self._group.end()


class SandboxPlace:
    """A sandbox of its own, ended as soon as its files are here.

    Args:
        endpoint: the service.
        program: its template and its deadline make the sandbox.
        install: packages that are installed before the program runs.
    """

    base = SANDBOX_BASE

    def __init__(
        self, endpoint: ApiEndpoint, program: CommandProgram, *, install: Sequence[str] = ()
    ) -> None:
        self._install = tuple(install)
        lifetime_s = int(program.deadline_s) + _LIFETIME_S
        self._sandbox = CommandSandbox(endpoint, template=program.template, lifetime_s=lifetime_s)

    @property
    def sandbox_id(self) -> str | None:
        """E2B's id; None before there is one."""
        return self._sandbox.sandbox_id

    def run(self, program: CommandProgram, context: ExecutionContext) -> None:
        """Runs it.

        Raises:
            BrokenError: if there is no sandbox to be had, or it does not live to the end.
            LeakError: if the sandbox cannot be ended.
        """
        spec = context.base_path / "spec.json"
        write_spec(spec, program, base=self.base, search=None)
        try:
            self._sandbox.create()
            if self._install:
                packages = shlex.join(self._install)
                self._sandbox.run(
                    f"python3 -m pip install --quiet --disable-pip-version-check {packages}",
                    timeout_s=_INSTALL_S,
                    user="root",  # into the system: the program's home is another one
                    expected=f"{packages} to be there for the sandbox's python3",
                )
            for source in (context.base_path / "job.tar", RUNNER, spec):
                self._sandbox.upload(source, f"{self.base}/{source.name}")
            self._sandbox.run(
                f"exec python3 -I -S {self.base}/{RUNNER.name} {self.base}/{spec.name}",
                timeout_s=program.deadline_s + _AROUND_S,
            )
            for name in ANSWERS:
                self._sandbox.download(
                    f"{self.base}/{name}", context.base_path / name, limit_bytes=2 * COLLECT_BYTES
                )
        finally:
            self._sandbox.kill()

    def abort(self) -> None:
        """Ends the sandbox, from any thread."""
        self._sandbox.kill()

    def close(self) -> None:
        """Ends the sandbox."""
        self._sandbox.kill()
