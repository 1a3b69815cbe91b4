"""One sandbox for one command: made, given files, asked, emptied and ended, by the SDK.

Source: e2b 2.63.0 e2b/sandbox_sync/main.py (create, kill), commands and files of the sandbox.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from e2b import CommandExitException, Sandbox

from harness.errors import BrokenError, HarnessError, LeakError
from harness.sdk.endpoint import ApiEndpoint

__all__ = ["CommandSandbox", "run_in_sandbox"]


class CommandSandbox:
    """A sandbox; `kill` ends it, also from another thread while a call is under way.

    Args:
        endpoint: where, and with which key.
        template: E2B's name of it; the service's default where it is None.
        lifetime_s: the service ends it after so many seconds, whatever becomes of this process.
    """

    def __init__(
        self, endpoint: ApiEndpoint, *, template: str | None = None, lifetime_s: int
    ) -> None:
        self._endpoint = endpoint
        self._template = template
        self._lifetime_s = lifetime_s
        self._lock = threading.Lock()
        self._sandbox: Sandbox | None = None
        self._ended = False
        self.sandbox_id: str | None = None

    def create(self) -> str:
        """Makes it; its id.

        Raises:
            BrokenError: if the service does not make one, or `kill` was called meanwhile.
        """
        try:
            sandbox = Sandbox.create(
                template=self._template, timeout=self._lifetime_s, **self._options()
            )
        except Exception as error:
            raise self._broken(
                f"no sandbox of template {self._template or 'base'}", error
            ) from error
        with self._lock:
            self._sandbox, self.sandbox_id = sandbox, sandbox.sandbox_id
            ended = self._ended
        if ended:
            self._end(sandbox.sandbox_id)
            raise _interrupted()
        return sandbox.sandbox_id

    def upload(self, source: Path, path: str) -> None:
        """Writes a file of this machine into the sandbox.

        Raises:
            BrokenError: if the sandbox does not take it.
        """
        try:
            with source.open("rb") as file:
                self._running().files.write(path, file)
        except HarnessError:
            raise
        except Exception as error:
            raise self._broken(f"{path} was not uploaded", error) from error

    def run(
        self,
        command: str,
        *,
        timeout_s: float,
        user: str | None = None,
        expected: str = "a template with python3 (3.9 or newer) on its PATH",
    ) -> None:
        """Runs a shell command to its end.

        Args:
            command: the command.
            timeout_s: how long it may take.
            user: as whom; the template's own user where it is None.
            expected: what a failure of it lacks, for its message.

        Raises:
            BrokenError: if it fails, takes longer, or the sandbox ends before it.
        """
        try:
            self._running().commands.run(command, timeout=timeout_s, user=user)
        except HarnessError:
            raise
        except CommandExitException as error:
            words = (error.stderr or error.stdout).strip().splitlines()[-1:]
            raise BrokenError(
                f"`{command}` ended with exit code {error.exit_code}: {''.join(words)}",
                expected=expected,
                next_step="choose another template with --template",
            ) from error
        except Exception as error:
            raise self._broken(f"`{command}` did not end in order", error) from error

    def download(self, path: str, target: Path, *, limit_bytes: int) -> None:
        """Copies a file out of the sandbox.

        Raises:
            BrokenError: if it is not there, too large, or the sandbox does not answer.
        """
        written = 0
        try:
            with target.open("wb") as file:
                for chunk in self._running().files.read(path, format="stream"):
                    written += len(chunk)
                    if written > limit_bytes:
                        raise ValueError(f"it is larger than {limit_bytes} bytes")  # noqa: TRY301 - one border
                    file.write(chunk)
        except HarnessError:
            raise
        except Exception as error:
            raise self._broken(f"{path} was not fetched", error) from error

    def kill(self) -> None:
        """Ends it; again, and before it is made, is fine.

        Raises:
            LeakError: if the service did not end it.
        """
        with self._lock:
            again, self._ended = self._ended, True
            sandbox_id = self.sandbox_id
        if sandbox_id is not None and not again:
            self._end(sandbox_id)

    def _end(self, sandbox_id: str) -> None:
        try:
            Sandbox.kill(sandbox_id, **self._options())
        except Exception as error:
            raise LeakError(
                f"sandbox {sandbox_id} was not ended: {type(error).__name__}: {error}",
                expected="the service to end it",
                next_step="harness orphans sweep",
            ) from error

    def _running(self) -> Sandbox:
        if self._ended:
            raise _interrupted()
        if self._sandbox is None:
            raise AssertionError("the sandbox was not made")
        return self._sandbox

    def _options(self) -> dict[str, Any]:
        return _options(self._endpoint)

    def _broken(self, what: str, error: Exception) -> BrokenError:
        where = f" ({self.sandbox_id})" if self.sandbox_id else ""
        return BrokenError(
            f"{what}{where}: {type(error).__name__}: {error}",
            expected=f"{self._endpoint.host} to answer, and the sandbox to live until its end",
            next_step="run again; if it stays, look at the endpoint's log",
        )


def run_in_sandbox(endpoint: ApiEndpoint, sandbox_id: str, command: str) -> None:
    """Runs a shell command in a sandbox that somebody else made.

    Raises:
        BrokenError: if there is no such sandbox, or the command fails.
    """
    try:
        # Connecting never shortens a sandbox's life; a second is no longer than what is left.
        Sandbox.connect(sandbox_id, timeout=1, **_options(endpoint)).commands.run(command)
    except Exception as error:
        raise BrokenError(
            f"`{command}` was not run in {sandbox_id}: {type(error).__name__}: {error}",
            expected="a sandbox of this account that runs",
            next_step="look at the endpoint's log",
        ) from error


def _options(endpoint: ApiEndpoint) -> dict[str, Any]:
    return {
        "api_key": endpoint.api_key.reveal(),
        "api_url": endpoint.api_url,
        "domain": endpoint.domain,
        "sandbox_url": endpoint.sandbox_url,
        "debug": False,  # E2B_DEBUG would have the SDK speak to port 3000
    }


def _interrupted() -> BrokenError:
    return BrokenError(
        "the sandbox was ended while it was used",
        expected="nobody to end it before its command has ended",
        next_step="run again",
    )
