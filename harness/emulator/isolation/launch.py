"""The server's side of the launcher: asks it for sandboxes and hears of their ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from harness.errors import BrokenError

__all__ = ["Job", "Launched", "LauncherProcess"]

LISTENER_FD = 10
INFO_FD = 11
ARGUMENTS_FD = 12
_PROGRAM = Path(__file__).with_name("launcher.py")
_CLOSE_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What the launcher needs to start one sandbox.

    Attributes:
        id: how it is called in the launcher's answers.
        folder: the sandbox's folder on the host; the socket and the log are made in it.
        ids: "given" (`uids` ids from `first_uid` on, needs root), "own" (this process's) or
            "none" (no namespace at all).
        program: what the child becomes, as a path that it can reach by then.
        argv: with which words; `LISTENER_FD` is open in it.
        options: words for `bwrap --args ARGUMENTS_FD`.
        stage: source and target of what is bound below a private /tmp first, and "ro" or "rw".
        env: the whole environment.
        limits: values of the `resource.RLIMIT_*` that are set.
        first_uid: the host's id for the sandbox's 0, where `ids` is "given".
        uids: how many ids that are.
        zygote: what starts the zygote that can make it, for all that name the same.
        request: what that is asked.
        sandbox: False for a zygote, which stays above the user namespaces of its sandboxes.
    """

    id: str
    folder: str
    ids: str
    program: str
    argv: Sequence[str]
    options: Sequence[str] = ()
    stage: Sequence[tuple[str, str, str]] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    first_uid: int = 0
    uids: int = 0
    zygote: Job | None = None
    request: Mapping[str, str] = field(default_factory=dict)
    sandbox: bool = True


@dataclass(slots=True)
class Launched:
    """A sandbox that the launcher knows.

    Attributes:
        started: its first process's pid on the host, or None where it did not come up.
        gone: set once no process of it is left.
    """

    started: asyncio.Future[int | None]
    gone: asyncio.Event


class LauncherProcess:
    """The running launcher; close it to end every sandbox."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._known: dict[str, Launched] = {}
        self._zygotes: set[str] = set()
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def open(cls) -> Self:
        """Starts the program."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", "-E", str(_PROGRAM), str(theirs.fileno())),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                env={"PATH": os.defpath},
            )
        reader, writer = await asyncio.open_connection(sock=ours)
        return cls(process, reader, writer)

    def start(self, job: Job) -> Launched:
        """Asks for a sandbox; what becomes of it is told by the answer's attributes.

        Raises:
            BrokenError: the launcher itself is gone.
        """
        if self._listening.done():
            raise BrokenError(
                "the process that starts sandboxes has ended",
                expected="that it lives as long as the emulator",
                next_step="start the emulator again; look for an out-of-memory kill in dmesg",
            )
        launched = Launched(asyncio.get_running_loop().create_future(), asyncio.Event())
        self._known[job.id] = launched
        if job.zygote is not None and job.zygote.id not in self._zygotes:
            self._zygotes.add(job.zygote.id)
            self._send({"zygote": _described(job.zygote)})
        self._send({"start": _described(job)})
        return launched

    def signal(self, job_id: str, number: int) -> None:
        """Signals the sandbox's first process; one that is gone is fine."""
        if job_id in self._known:
            self._send({"id": job_id, "signal": int(number)})

    async def close(self) -> None:
        """Ends every sandbox and the launcher; returns when all are gone."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
        try:
            await asyncio.wait_for(self._process.wait(), _CLOSE_TIMEOUT_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._listening

    def _send(self, message: Mapping[str, Any]) -> None:
        self._writer.write(json.dumps(message).encode() + b"\n")

    async def _listen(self) -> None:
        try:
            while line := await self._reader.readline():
                self._heard(json.loads(line))
        except ConnectionError:
            pass  # the launcher died; what it kept is gone with it
        finally:
            for launched in self._known.values():
                _settle(launched, None)
                launched.gone.set()
            self._known.clear()

    def _heard(self, message: Mapping[str, Any]) -> None:
        launched = self._known.get(message["id"])
        if launched is None:
            return
        _settle(launched, message.get("pid"))
        if "exited" in message:
            launched.gone.set()
            del self._known[message["id"]]


def _described(job: Job) -> dict[str, Any]:
    # Not `asdict`, whose deep copy of every option is a tenth of what a create takes here.
    values = {name.name: getattr(job, name.name) for name in fields(job)}
    return {**values, "zygote": job.zygote.id if job.zygote else None}


def _settle(launched: Launched, pid: int | None) -> None:
    if not launched.started.done():
        launched.started.set_result(pid)
