"""Real sandboxes for tests that are not themselves asynchronous."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from harness.emulator.isolation import (
    GuestStream,
    IsolationMode,
    Limits,
    Network,
    Sandbox,
    SandboxHost,
)
from harness.emulator.isolation.user_ids import can_map_range

T = TypeVar("T")

# What happens soon may take its time on a machine that is busy with other things.
DEADLINE_S = 60.0
_POLL_S = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What a command left."""

    pid: int
    stdout: bytes
    stderr: bytes
    pty: bytes
    end: dict[str, Any]

    @property
    def exit_code(self) -> int:
        """As the end event says it."""
        code: int = self.end["exit_code"]
        return code

    @property
    def text(self) -> str:
        """Standard output without the last line feed."""
        return self.stdout.decode().rstrip("\n")


class Guest:
    """One sandbox, driven step by step."""

    def __init__(self, lab: Lab, sandbox: Sandbox) -> None:
        self.lab = lab
        self.sandbox = sandbox

    def call(self, op: str, **params: Any) -> dict[str, Any]:
        """One call; its result."""
        return self.lab.do(lambda: self.sandbox.call(op, **params))

    def run(self, command: str, *, user: str = "user", **params: Any) -> Ended:
        """A shell command as E2B's clients run it; waits for its end."""

        async def run() -> Ended:
            async with self.shell(command, user=user, **params) as stream:
                return await collect(stream)

        return self.lab.do(run)

    def shell(self, command: str, *, user: str = "user", **params: Any) -> Any:
        """The stream of a shell command."""
        wanted = {"cmd": "/bin/bash", "args": ["-l", "-c", command], "envs": {}, **params}
        return self.sandbox.stream("process.start", user=user, **wanted)

    def spawn(self, command: str, **params: Any) -> int:
        """Starts a shell command and leaves it; its pid."""

        async def start() -> int:
            async with self.shell(command, **params) as stream:
                started = await anext(stream)
                pid: int = started["pid"]
                return pid

        return self.lab.do(start)

    def write(self, path: str, data: bytes, **params: Any) -> dict[str, Any]:
        """Writes a file in one chunk; its entry."""

        async def write() -> dict[str, Any]:
            wanted = {"user": "user", "path": path, **params}
            async with self.sandbox.stream("fs.write", **wanted) as stream:
                if data:
                    await stream.send(data)
                await stream.send_eof()
                result = await stream.finish()
                entry: dict[str, Any] = result["entry"]
                return entry

        return self.lab.do(write)

    def read(self, path: str, **params: Any) -> bytes:
        """A file's bytes."""

        async def read() -> bytes:
            wanted = {"user": "user", "path": path, **params}
            async with self.sandbox.stream("fs.read", **wanted) as stream:
                return b"".join([piece async for piece in stream if isinstance(piece, bytes)])

        return self.lab.do(read)


class Lab:
    """A loop and a host of sandboxes that last for several tests."""

    def __init__(self, runner: asyncio.Runner, host: SandboxHost, *, many_users: bool) -> None:
        self._runner = runner
        self.host = host
        self.many_users = many_users
        self._started = 0

    def do(self, work: Callable[[], Awaitable[T]]) -> T:
        """Runs something asynchronous, within a deadline."""

        async def within() -> T:
            async with asyncio.timeout(DEADLINE_S):
                return await work()

        return self._runner.run(within())

    def start(self, *, network: Network = Network.NONE, **params: Any) -> Guest:
        """A sandbox of its own for one test."""
        self._started += 1
        name = f"itest{self._started:04d}"
        return Guest(self, self.do(lambda: self.host.start(name, network=network, **params)))


@contextmanager
def opened_lab(
    folder: Path,
    *,
    mode: IsolationMode = IsolationMode.BUBBLEWRAP,
    pool_size: int = 1,
    limits: Limits | None = None,
    one_user_id: bool | None = None,
) -> Iterator[Lab]:
    """A lab that is closed at the end."""
    with asyncio.Runner() as runner:
        host = SandboxHost(
            folder,
            mode=mode,
            pool_size=pool_size,
            limits=limits or Limits(),
            one_user_id=one_user_id,
        )
        many_users = mode is IsolationMode.BUBBLEWRAP and not one_user_id and can_map_range()
        lab = Lab(runner, host, many_users=many_users)
        lab.do(host.__aenter__)
        try:
            yield lab
        finally:
            lab.do(lambda: host.__aexit__(None, None, None))


async def collect(stream: GuestStream) -> Ended:
    """Everything that a process says until its end."""
    output = {"stdout": b"", "stderr": b"", "pty": b""}
    name, pid, end = "", 0, {}
    async for item in stream:
        if isinstance(item, bytes):
            output[name] += item
        elif item["event"] == "data":
            name = item["stream"]
        elif item["event"] == "start":
            pid = item["pid"]
        elif item["event"] == "end":
            end = item
    return Ended(pid=pid, end=end, **output)


def sleep_of_its_own() -> str:
    """A command that sleeps on, and that `processes_with` finds nobody else's by."""
    return f"sleep {10**12 + secrets.randbelow(9 * 10**12)}"


def open_files() -> Counter[str]:
    """What this process holds open; sockets and pipes are told apart, and counted."""
    found: Counter[str] = Counter()
    for path in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the listing's own, or one that a thread has closed
            found[str(path.readlink())] += 1
    return found


def processes_with(words: str) -> list[Path]:
    """The folders below /proc of this machine's processes with these words in their command."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_bytes().replace(b"\0", b" ")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if words.encode() in command:
            found.append(path)
    return found


def eventually(condition: Callable[[], T]) -> T:
    """The first true answer of something that becomes true soon, asked until then.

    Raises:
        AssertionError: it did not within the deadline; with the last answer.
    """
    give_up_at = time.monotonic() + DEADLINE_S
    while time.monotonic() < give_up_at:
        answer = condition()
        if answer:
            return answer
        time.sleep(_POLL_S)  # spinning would take the processor from what it waits for
    raise AssertionError(f"it did not become true within {DEADLINE_S} s; last: {answer!r}")
