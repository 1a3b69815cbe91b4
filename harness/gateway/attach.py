"""Starts a gateway as a process of its own, points clients at it, and ends it."""

from __future__ import annotations

import json
import os
import re
import secrets
import select
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from harness.clock import Clock, SystemClock
from harness.errors import BrokenError, ExitCode, HarnessError, LeakError, UsageError
from harness.gateway.admin import ADMIN_HEADER, ADMIN_PREFIX
from harness.gateway.server import Ready
from harness.model.side import Endpoint
from harness.orphans.ledger import LEDGER_NAME
from harness.sdk.endpoint import ApiEndpoint
from harness.settings import SECRET_NAMES, Secret

__all__ = ["Gateway", "checked_run_id"]

LEAK = int(ExitCode.LEAK)
LOG_TAIL = 6
START_S = 60.0
STOP_S = 60.0  # it ends what its run has created, and waits for creates under way
REAP_S = 60.0
_KEPT_FROM_IT = frozenset({*SECRET_NAMES, "E2B_ACCESS_TOKEN"})
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def checked_run_id(run_id: str | None = None, *, clock: Clock | None = None) -> str:
    """The run's name; a new one, sortable by time and unique, where none is given.

    Raises:
        UsageError: if it is not fit for a folder.
    """
    if run_id is None:
        now = (clock or SystemClock()).now()
        return f"run-{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    if not _RUN_ID.fullmatch(run_id):
        raise UsageError(
            f"run id {run_id!r}",
            expected="letters, digits, dots, dashes and underscores, at most 100",
            next_step="choose another run id, or leave it out",
        )
    return run_id


class Gateway:
    """A gateway, from `start` (or `with`) to `stop`.

    Args:
        upstream: the real E2B: its endpoint, or the API's base URL with `key`.
        key: the client's key; needed where `upstream` is a URL. It goes to clients by
            `endpoint.env` only: the gateway takes it from their requests.
        run_id: names the run; a new name where it is left out.
        state_dir: where the run keeps its ledger and its after-images.
        grace_s: how long a sandbox outlives a client that did not wait for its create.
        owner_grace_s: how long a sandbox outlives the last process that created it or
            asked for more time for it; None leaves it alone until the run is over.
        patience_s: how long a create that the plan does not allow yet waits in line;
            keep it below the client's own timeout. 0 passes the 429 on as it comes.
        lease_s: how long the service is told that a sandbox lives. The gateway prolongs it
            as long as the client asked for, so that a burnt machine costs no more than
            this; clients then see an `endAt` that moves. None changes nothing.

    Raises:
        UsageError: if there is no key or the run id is not fit for a folder.
    """

    def __init__(
        self,
        *,
        upstream: Endpoint | str,
        key: str | Secret | None = None,
        run_id: str | None = None,
        state_dir: Path,
        grace_s: float = 5.0,
        owner_grace_s: float | None = 10.0,
        patience_s: float = 0.0,
        lease_s: int | None = None,
    ) -> None:
        self.run_id = checked_run_id(run_id)
        self._upstream, self._name = _upstream(upstream, key)
        self._upstream_env = {} if isinstance(upstream, str) else dict(upstream.env)
        self._state_dir = state_dir.resolve()
        self._grace_s = grace_s
        self._owner_grace_s = owner_grace_s
        self._lease_s = lease_s
        self._patience_s = patience_s
        self._process: subprocess.Popen[bytes] | None = None
        self._ready: Ready | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def endpoint(self) -> Endpoint:
        """What a client is to be pointed at.

        Raises:
            BrokenError: if the gateway does not run.
        """
        ready = self._running()
        # What else leads past the API, as the volumes' content does, leads there still.
        env = {**self._upstream_env, **self._upstream.to_env(), "E2B_API_URL": ready.url}
        return Endpoint(
            name=self._name,
            env=env,
            admin_url=f"{ready.url}{ADMIN_PREFIX}",
            admin_token=ready.token,
        )

    @property
    def pid(self) -> int:
        """The gateway's process.

        Raises:
            BrokenError: if the gateway does not run.
        """
        self._running()
        if self._process is None:
            raise AssertionError("it runs, so it has a process")
        return self._process.pid

    @property
    def _log_path(self) -> Path:
        return self._state_dir / self.run_id / "gateway.log"

    @property
    def ledger_path(self) -> Path:
        """The run's ledger."""
        return self._state_dir / self.run_id / LEDGER_NAME

    def start(self) -> None:
        """Starts the process and returns when it accepts connections.

        Raises:
            BrokenError: if it does not get ready.
        """
        command = [
            *(sys.executable, "-m", "harness.gateway"),
            *("--upstream", self._upstream.api_url, "--run-id", self.run_id),
            *("--state-dir", str(self._state_dir), "--owner-pid", str(os.getpid())),
            *("--grace", str(self._grace_s), "--patience", str(self._patience_s)),
        ]
        if self._owner_grace_s is not None:
            command += ["--owner-grace", str(self._owner_grace_s)]
        if self._lease_s is not None:
            command += ["--lease", str(self._lease_s)]
        if self._upstream.sandbox_url:
            command += ["--sandbox-url", self._upstream.sandbox_url]
        if self._upstream.domain:
            command += ["--domain", self._upstream.domain]
        try:
            self._log_path.parent.mkdir(parents=True, exist_ok=True)
            with self._log_path.open("ab") as log:
                # A session of its own: Ctrl-C reaches its parent first, whose end reaches
                # it by its standard input, also when the parent is killed.
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env={k: v for k, v in os.environ.items() if k not in _KEPT_FROM_IT},
                    start_new_session=True,
                )
        except OSError as error:
            raise self._failed(f"the gateway could not be started: {error}") from error
        try:
            self._ready = self._read_ready(self._process)
        except BaseException:
            process, self._process = self._process, None
            process.kill()
            process.wait()
            _close(process)
            raise

    def stop(self) -> None:
        """Ends the process, and with it every sandbox that its run still owns.

        Raises:
            LeakError: if one could not be ended.
            BrokenError: if the process did not end in order.
        """
        process, self._process, self._ready = self._process, None, None
        if process is None:
            return
        try:
            code = _end(process)
        finally:
            _close(process)
        if code:
            raise self._failed(f"the gateway ended with exit code {code}", leak=code == LEAK)

    def alive(self) -> tuple[str, ...]:
        """Ids of the sandboxes that the run still owns.

        Raises:
            BrokenError: if the gateway does not answer.
        """
        return tuple(row["sandbox_id"] for row in self.sandboxes() if row["state"] == "alive")

    def sandboxes(self) -> list[dict[str, str]]:
        """Everything that the run created: `sandbox_id`, `state`, `test_id`, `creator`.

        Raises:
            BrokenError: if the gateway does not answer.
        """
        rows: list[dict[str, str]] = self._ask("GET", "sandboxes")
        return rows

    def begin_test(self, test_id: str) -> None:
        """What is created from now on carries the id of this test; empty for none.

        Raises:
            BrokenError: if the gateway does not answer.
        """
        self._ask("PUT", "test", {"test_id": test_id})

    def reap(self) -> None:
        """Ends every sandbox that the run still owns.

        Raises:
            LeakError: if one could not be ended.
            BrokenError: if the gateway does not answer.
        """
        left = self._ask("POST", "reap")["left"]
        if left:
            named = "; ".join(f"{sandbox_id}: {why}" for sandbox_id, why in left.items())
            raise LeakError(
                f"{len(left)} sandboxes of the run are left: {named}",
                expected="every sandbox of the run ended",
                next_step="run `harness orphans sweep --force`",
            )

    def _ask(self, method: str, route: str, body: dict[str, str] | None = None) -> Any:
        ready = self._running()
        try:
            answer = httpx.request(
                method,
                f"{ready.url}{ADMIN_PREFIX}/{route}",
                headers={ADMIN_HEADER: ready.token},
                json=body,
                timeout=REAP_S,
                trust_env=False,
            )
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise self._failed(f"the gateway does not answer: {error!r}") from error
        return answer.json() if answer.content else None

    def _running(self) -> Ready:
        if self._ready is None:
            raise BrokenError(
                "the gateway does not run",
                expected="a gateway that was started",
                next_step="use it within `with Gateway(…) as gateway:`",
            )
        return self._ready

    def _read_ready(self, process: subprocess.Popen[bytes]) -> Ready:
        stdout = process.stdout
        if stdout is None:
            raise AssertionError("the process was started with a pipe")
        readable, _, _ = select.select([stdout], [], [], START_S)
        line = stdout.readline() if readable else b""
        if not line:
            code = process.poll()
            what = (
                f"ended with exit code {code}"
                if code is not None
                else f"said nothing in {START_S:g} s"
            )
            raise self._failed(f"the gateway did not get ready: it {what}")
        ready = json.loads(line)
        return Ready(url=ready["url"], token=ready["token"])

    def _failed(self, what: str, *, leak: bool = False) -> HarnessError:
        tail = ""
        if self._log_path.is_file():
            tail = " | ".join(self._log_path.read_text(errors="replace").splitlines()[-LOG_TAIL:])
        kind = LeakError if leak else BrokenError
        return kind(
            f"{what}: {tail}" if tail else what,
            expected="a gateway that starts, answers, and ends every sandbox of its run",
            next_step="run `harness orphans sweep --force`"
            if leak
            else f"read {self._log_path}, then run again",
        )


def _end(process: subprocess.Popen[bytes]) -> int:
    """Ends the process by the end of its standard input; its exit code."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        return process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def _upstream(upstream: Endpoint | str, key: str | Secret | None) -> tuple[ApiEndpoint, str]:
    """What stands behind the gateway, and the name of the whole for reports."""
    given = key.reveal() if isinstance(key, Secret) else key
    if isinstance(upstream, str):
        env = {"E2B_API_URL": upstream, "E2B_API_KEY": given or ""}
        return ApiEndpoint.from_env(env), "live"
    env = {**upstream.env, **({"E2B_API_KEY": given} if given else {})}
    name = "live" if upstream.name == "live" else f"live-on-{upstream.name}"
    return ApiEndpoint.from_env(env), name
