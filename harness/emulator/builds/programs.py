"""Runs programs in a sandbox for the service itself: build steps, start commands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.emulator.isolation import GuestError, Sandbox
from harness.emulator.template_records import Image

__all__ = ["Finished", "ProgramError", "Shell", "start_program"]

READY_PERIOD_S = 0.5
READY_TIMEOUT_S = 300.0
_SHELL = "/bin/bash"

Listener = Callable[[str, str], None]


class ProgramError(Exception):
    """A program did not start, or did not do what it should; with the words for the client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a program ended."""

    exit_code: int
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """Where and as whom commands run in a sandbox.

    Attributes:
        guest: the sandbox.
        user: who runs them.
        workdir: where; None is the user's home.
        envs: their variables.
        heard: is told each line that a command says, and its stream.
    """

    guest: Sandbox
    user: str = "user"
    workdir: str | None = None
    envs: Mapping[str, str] = field(default_factory=dict)
    heard: Listener | None = None

    async def run(self, command: str, words: Sequence[str] = ()) -> Finished:
        """Runs a command in a login shell to its end.

        Args:
            command: for the shell.
            words: its positional parameters from $1 on.

        Raises:
            GuestError: it could not be started.
            SandboxGoneError: the sandbox died.
        """
        split = {name: _Lines(name, self.heard) for name in ("stdout", "stderr")}
        stream_name = "stdout"
        end = Finished(exit_code=-1, status="no end was reported")
        async with self.guest.stream("process.start", **self._request(command, words)) as stream:
            async for frame in stream:
                if isinstance(frame, bytes):
                    split[stream_name].feed(frame)
                elif frame.get("event") == "data":
                    stream_name = frame["stream"]
                elif frame.get("event") == "end":
                    end = Finished(exit_code=frame["exit_code"], status=frame["status"])
        for lines in split.values():
            lines.flush()
        return end

    def _request(self, command: str, words: Sequence[str]) -> dict[str, object]:
        request: dict[str, object] = {
            "cmd": _SHELL,
            "args": ["-l", "-c", command, *(("bash", *words) if words else ())],
            "envs": dict(self.envs),
            "user": self.user,
        }
        return request if self.workdir is None else request | {"cwd": self.workdir}

    async def check(self, command: str, words: Sequence[str] = (), *, named: str = "") -> None:
        """Runs a command that must succeed.

        Raises:
            ProgramError: it did not; with E2B's words, which name the command.
        """
        name = named or command
        try:
            end = await self.run(command, words)
        except GuestError as error:
            raise ProgramError(
                f"failed to run command '{name}': command failed: {error.code}: {error.message}"
            ) from error
        if end.exit_code != 0:
            raise ProgramError(f"failed to run command '{name}': {end.status}")


async def start_program(guest: Sandbox, image: Image, heard: Listener | None = None) -> None:
    """Starts an image's start command in a sandbox; returns when its ready command succeeds.

    Differs: E2B starts sandboxes from memory in which the command runs already; here it is
    started in each of them, and waited for.

    Raises:
        ProgramError: the start command failed, or nothing was ready in time.
        SandboxGoneError: the sandbox died.
    """
    shell = Shell(
        guest=guest,
        user=image.user,
        workdir=image.workdir,
        envs=image.envs,
        heard=heard,
    )
    if not image.start_cmd:
        running = None
    else:
        started = asyncio.get_running_loop().create_future()
        running = asyncio.create_task(_follow(shell, image.start_cmd, started))
        try:
            await asyncio.wait((started, running), return_when=asyncio.FIRST_COMPLETED)
        finally:
            started.cancel()
    try:
        if image.ready_cmd:
            await _ready(shell, image.ready_cmd, running)
        elif running is not None and running.done():
            _refuse_failure(running)
    finally:
        if running is not None:
            running.cancel()  # the call, not the program: that runs on in the sandbox
            await asyncio.gather(running, return_exceptions=True)


async def _follow(shell: Shell, command: str, started: asyncio.Future[None]) -> Finished:
    request = shell._request(command, ())  # noqa: SLF001 - its own module
    lines = _Lines("stdout", shell.heard)
    end = Finished(exit_code=-1, status="no end was reported")
    async with shell.guest.stream("process.start", **request) as stream:
        async for frame in stream:
            if isinstance(frame, bytes):
                lines.feed(frame)
            elif frame.get("event") == "start" and not started.done():
                started.set_result(None)
            elif frame.get("event") == "end":
                end = Finished(exit_code=frame["exit_code"], status=frame["status"])
    lines.flush()
    return end


async def _ready(shell: Shell, command: str, running: asyncio.Task[Finished] | None) -> None:
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            while (await _asked(shell, command)).exit_code != 0:
                if running is not None and running.done():
                    _refuse_failure(running)
                await asyncio.sleep(READY_PERIOD_S)
    except TimeoutError:
        raise ProgramError(
            f"ready command '{command}' did not succeed within {READY_TIMEOUT_S:g} seconds"
        ) from None
    if running is not None and running.done():
        _refuse_failure(running)


async def _asked(shell: Shell, command: str) -> Finished:
    try:
        return await shell.run(command)
    except GuestError as error:
        raise ProgramError(f"ready command failed: {error.code}: {error.message}") from error


def _refuse_failure(running: asyncio.Task[Finished]) -> None:
    error = running.exception()
    if isinstance(error, GuestError):
        raise ProgramError(f"start command failed: {error.code}: {error.message}") from error
    if error is not None:
        raise error
    if running.result().exit_code != 0:
        raise ProgramError(f"start command failed: {running.result().status}")


class _Lines:
    """Cuts a stream into lines."""

    def __init__(self, stream: str, heard: Listener | None) -> None:
        self._stream = stream
        self._heard = heard
        self._rest = b""

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._tell(line)

    def flush(self) -> None:
        if self._rest:
            self._tell(self._rest)
        self._rest = b""

    def _tell(self, line: bytes) -> None:
        if self._heard is not None:
            self._heard(self._stream, line.decode(errors="replace").rstrip("\r"))
