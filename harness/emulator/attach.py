"""An emulator for a Python test: started, attached to, and gone at the end.

It is a process of its own, so the SDK under test may be any version in any
environment; what a client needs is in `env`.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from harness.emulator.admin.client import AdminClient
from harness.emulator.local_names import local_names
from harness.emulator.other_user import OtherUser
from harness.errors import BrokenError
from harness.model.side import Endpoint

__all__ = ["AdminClient", "Emulator", "admin"]

# The first start of a template builds it, which may need downloads.
START_DEADLINE_S = 300.0
STOP_DEADLINE_S = 15.0
_TAIL_LINES = 15


def admin(endpoint: Endpoint) -> AdminClient:
    """The admin interface of an endpoint; also a context manager.

    Raises:
        UsageError: the endpoint has none.
    """
    return AdminClient(endpoint)


class Emulator:
    """One emulator; a context manager.

    While it runs, names below `localhost` (those of `get_host()`) are found by this process.

    Args:
        arguments: further arguments of `harness emulator serve`, such as
            ("--network", "host").
        packages: what the templates offer, as pip names it; None is a bare Python.
        template_dir: where built templates are kept; None is the user's cache.
        start_deadline_s: how long the start may take.
        user: the user id to run it as, for root only; None is this process's own.
    """

    def __init__(
        self,
        *arguments: str,
        packages: Sequence[str] | None = None,
        template_dir: Path | None = None,
        start_deadline_s: float = START_DEADLINE_S,
        user: int | None = None,
    ) -> None:
        self._arguments = [*arguments, *_template_arguments(packages, template_dir)]
        self._start_deadline_s = start_deadline_s
        self._user = None if user is None or user == os.getuid() else OtherUser(user)
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._endpoint: Endpoint | None = None
        self._proxy_env: dict[str, str] = {}
        self._access_token = ""
        self._names = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Starts it, and returns when it answers."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends it and every sandbox."""
        self.stop()

    def start(self) -> None:
        """Starts it, and returns when it answers.

        Raises:
            BrokenError: it did not become ready in time; with the end of its log.
        """
        python = sys.executable if self._user is None else self._user.python()
        command = [python, "-m", "harness.emulator", "serve", "--json"]
        command += ["--parent-pid", str(os.getpid()), *self._arguments]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            # A Ctrl-C is for the test, which then ends the emulator in its own order.
            start_new_session=True,
            **({} if self._user is None else self._user.options()),
        )
        try:
            document = json.loads(self._ready_line())
            self._endpoint = Endpoint(
                name="emulator",
                env=document["env"],
                admin_url=document["admin"]["url"],
                admin_token=document["admin"]["token"],
            )
            self._proxy_env = dict(document["proxy_env"])
            self._access_token = str(document["access_token"])
            self._names.enter_context(local_names())
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends it and every sandbox; again is fine."""
        self._names.close()
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        if self._log is not None:
            self._log.close()
            self._log = None
        if self._user is not None:
            self._user.close()

    @property
    def endpoint(self) -> Endpoint:
        """What a client is pointed at.

        Raises:
            BrokenError: it does not run.
        """
        if self._endpoint is None:
            raise BrokenError(
                "the emulator was not started",
                expected="`with Emulator() as emulator:`",
                next_step="call start() first",
            )
        return self._endpoint

    @property
    def env(self) -> dict[str, str]:
        """The variables for a client's environment; they hold the key."""
        return dict(self.endpoint.env)

    @property
    def proxy_env(self) -> dict[str, str]:
        """The variables for a client that knows only E2B's public names; they hold the key.

        Nothing of E2B's own is among them but the key: a proxy and a certificate lead here.
        Empty without the argument "--proxy".
        """
        self._running()
        return dict(self._proxy_env)

    @property
    def access_token(self) -> str:
        """What its one person has; for what E2B asks a person to do, such as making keys."""
        self._running()
        return self._access_token

    @property
    def pid(self) -> int:
        """The emulator's process."""
        return self._running().pid

    @property
    def admin(self) -> AdminClient:
        """The admin interface."""
        return AdminClient(self.endpoint)

    def reset(self) -> None:
        """Ends every sandbox, and forgets requests, faults, after-images and advances."""
        self.admin.reset()

    def sandboxes(self) -> list[dict[str, Any]]:
        """Every sandbox since the last reset, those that ended included."""
        return self.admin.sandboxes()

    def after_images(self) -> list[dict[str, Any]]:
        """The sandboxes whose files are kept after their end."""
        return self.admin.after_images()

    def fetch_after_image(self, sandbox_id: str, into: Path) -> Path:
        """Copies the files below a sandbox's home into a folder; see `AdminClient`."""
        return self.admin.fetch_after_image(sandbox_id, into)

    def ledger(self) -> list[dict[str, Any]]:
        """Every request since the last reset, in order of arrival."""
        return self.admin.ledger()

    def asked(self, route: str, *, sandbox_id: str = "") -> list[dict[str, Any]]:
        """The requests that fit a route, for assertions; see `AdminClient.asked`."""
        return self.admin.asked(route, sandbox_id=sandbox_id)

    def advance(self, seconds: float) -> None:
        """Moves the service's clock; what falls due has happened on return."""
        self.admin.advance(seconds)

    def fault(self, route: str, **effects: Any) -> str:
        """Adds bad weather; see `AdminClient.fault`."""
        return self.admin.fault(route, **effects)

    def faults(self) -> list[dict[str, Any]]:
        """Each rule of bad weather, how often it struck, and what clients did about it."""
        return self.admin.faults()

    def log_tail(self) -> str:
        """The last lines that it wrote to standard error."""
        if self._log is None:
            return ""
        self._log.flush()
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:])

    def clear_faults(self) -> None:
        """Removes every rule of bad weather."""
        self.admin.clear_faults()

    def _ready_line(self) -> bytes:
        process = self._running()
        if process.stdout is None:
            raise TypeError("the emulator was started without a pipe")
        deadline = time.monotonic() + self._start_deadline_s
        line = b""
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise self._not_ready(f"was not ready after {self._start_deadline_s:g} s")
                piece = os.read(process.stdout.fileno(), 65536)
                if not piece:
                    process.wait(STOP_DEADLINE_S)
                    raise self._not_ready(f"ended with exit code {process.returncode}")
                line += piece
        return line

    def _not_ready(self, what: str) -> BrokenError:
        tail = self.log_tail().replace("\n", " | ") or "nothing was logged"
        return BrokenError(
            f"the emulator {what}: {tail}",
            expected="its line of JSON that says that it is ready",
            next_step=f"harness emulator serve {' '.join(self._arguments)}".rstrip(),
        )

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise BrokenError(
                "the emulator does not run",
                expected="`with Emulator() as emulator:`",
                next_step="call start() first",
            )
        return self._process


def _template_arguments(packages: Sequence[str] | None, template_dir: Path | None) -> list[str]:
    arguments = ["--bare"] if packages is None else []
    for package in packages or ():
        arguments += ["--package", package]
    if template_dir is not None:
        arguments += ["--template-dir", str(template_dir)]
    return arguments
