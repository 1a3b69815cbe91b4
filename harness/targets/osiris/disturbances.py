"""What happens to a run on its way: a person's Ctrl-C, a dead worker, a sandbox that is gone.

A disturbance strikes when the run has come to a place: its events say that a step's
configuration has been written, which is the last that they say before its driver runs. They
are written on this machine on both sides, so one watcher serves both. What must find the
driver at work, and not a few milliseconds ahead of it, comes after a delay.
Osiris itself is never changed: what strikes is another client of the same account, a
signal, or the service's clock.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from harness.errors import BrokenError, HarnessError
from harness.model.run import Deed, Disturbance
from harness.model.side import Endpoint
from harness.sdk.command_run import run_in_sandbox
from harness.sdk.directory import ApiSandboxDirectory
from harness.sdk.endpoint import ApiEndpoint

__all__ = ["Watch", "strike"]

_POLL_S = 0.02
# Source: osiris 0.5.7 core/runner_v0.py _execute_step, remote/proxy_worker.py handle_exec_step.
_LAST_BEFORE_DRIVER = "artifact_created"
_TIMEOUT_S = 60.0
_TOKEN_HEADER = "X-Harness-Token"  # noqa: S105 - the header's name
# The brackets keep the pattern from finding the shell that looks for it.
_SIGNAL_WORKER = (
    "for folder in /proc/[0-9]*; do "
    "tr '\\0' ' ' 2>/dev/null <$folder/cmdline | grep -q '[p]roxy_worker_runner' "
    "&& kill -%s ${folder#/proc/}; done; true"
)


class Watch:
    """Waits, while it is open, for the start of a step, and then strikes once.

    Args:
        disturbance: where and what.
        events: where the run's events.jsonl is; None while there is none.
        strike: what is done, in a thread of the watch.
    """

    def __init__(
        self,
        disturbance: Disturbance,
        events: Callable[[], Path | None],
        strike: Callable[[], None],
    ) -> None:
        self._disturbance = disturbance
        self._events = events
        self._strike = strike
        self._stop = threading.Event()
        self._error: HarnessError | None = None
        self._struck = False
        self._thread = threading.Thread(target=self._watch, name="disturbance", daemon=True)

    def __enter__(self) -> Self:
        """Begins to look."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stops looking; a blow that is under way ends first."""
        self._stop.set()
        self._thread.join()

    def why_broken(self) -> str | None:
        """Why the run was not disturbed as it should have been; None where it was."""
        if self._error is not None:
            return self._error.happened
        if not self._struck:
            return f"the run ended before its step {self._disturbance.step!r} could be disturbed"
        return None

    def _watch(self) -> None:
        while not self._stop.is_set():
            if self._has_begun():
                if self._stop.wait(self._disturbance.delay_s):
                    return
                try:
                    self._strike()
                except HarnessError as error:
                    self._error = error
                self._struck = True
                return
            self._stop.wait(_POLL_S)

    def _has_begun(self) -> bool:
        path = self._events()
        try:
            lines = path.read_bytes().split(b"\n") if path else []
        except FileNotFoundError:  # not written yet, or in a folder that is gone again
            return False
        return any(self._is_start(line) for line in lines if _LAST_BEFORE_DRIVER.encode() in line)

    def _is_start(self, line: bytes) -> bool:
        try:
            record = json.loads(line)
        except ValueError:
            return False  # the line is being written
        return (
            isinstance(record, dict)
            and record.get("event") == _LAST_BEFORE_DRIVER
            and record.get("step_id") == self._disturbance.step
        )


def strike(disturbance: Disturbance, endpoint: Endpoint, sandbox_id: str | None) -> None:
    """Does to a sandbox, or to the service's clock, what the disturbance says.

    Raises:
        BrokenError: if there is no sandbox, or the endpoint does not do it.
    """
    if disturbance.deed is Deed.ADVANCE:
        _advance(endpoint, disturbance.seconds)
        return
    if sandbox_id is None:
        raise BrokenError(
            f"there is no sandbox to {disturbance.deed.value}",
            expected="a sandbox whose id the product told of",
            next_step="look at the product's log",
        )
    service = ApiEndpoint.from_env(endpoint.env)
    if disturbance.deed is Deed.VANISH:
        with ApiSandboxDirectory(service) as directory:
            directory.kill(sandbox_id)
    elif disturbance.deed is Deed.KILL_WORKER:
        run_in_sandbox(service, sandbox_id, _SIGNAL_WORKER % "KILL")
    elif disturbance.deed is Deed.FREEZE_WORKER:
        run_in_sandbox(service, sandbox_id, _SIGNAL_WORKER % "STOP")
        threading.Event().wait(disturbance.seconds)
        run_in_sandbox(service, sandbox_id, _SIGNAL_WORKER % "CONT")


def _advance(endpoint: Endpoint, seconds: float) -> None:
    headers = {_TOKEN_HEADER: endpoint.admin_token or ""}
    try:
        with httpx.Client(timeout=_TIMEOUT_S, trust_env=False) as client:
            answer = client.post(
                f"{endpoint.admin_url}/clock", json={"advance_s": seconds}, headers=headers
            )
            answer.raise_for_status()
    except httpx.HTTPError as error:
        raise BrokenError(
            f"the service's clock cannot be moved: {type(error).__name__}: {error}",
            expected="an emulator, whose clock is its own",
            next_step="run the case against the emulator",
        ) from error
