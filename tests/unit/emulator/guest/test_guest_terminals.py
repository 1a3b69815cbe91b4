"""Processes with a terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from guest_lab import DEADLINE_S, Guest

from harness.emulator.isolation import GuestError, GuestStream


class Terminal:
    """A person at a terminal: types, and reads until something appears."""

    def __init__(self, guest: Guest, stream: GuestStream, pid: int) -> None:
        self.guest = guest
        self.pid = pid
        self.end: dict[str, Any] = {}
        self._stream = stream

    async def type(self, text: str) -> None:
        """Sends keystrokes."""
        async with self.guest.sandbox.stream("process.input", pid=self.pid, pty=True) as keys:
            await keys.send(text.encode())
            await keys.send_eof()
            await keys.finish()

    async def read_until(self, wanted: bytes) -> bytes:
        """What appears, up to and with that."""
        seen = b""
        async with asyncio.timeout(DEADLINE_S):
            async for item in self._stream:
                if isinstance(item, bytes):
                    seen += item
                    if wanted in seen:
                        return seen
                elif item["event"] == "end":
                    self.end = item
        return seen


@asynccontextmanager
async def terminal(guest: Guest, **params: Any):  # type: ignore[no-untyped-def]
    """An interactive shell, 80 by 24."""
    wanted: dict[str, Any] = {
        "cmd": "/bin/bash",
        "args": ["-i", "-l"],
        "envs": {"TERM": "xterm-256color"},
        "user": "user",
        "pty": {"cols": 80, "rows": 24},
        **params,
    }
    async with guest.sandbox.stream("process.start", **wanted) as stream:
        started: Any = await anext(stream)
        yield Terminal(guest, stream, started["pid"])


def at(guest: Guest, work: Callable[[Terminal], Awaitable[Any]], **params: Any) -> Any:
    """Does something at a new terminal."""

    async def do() -> Any:
        async with terminal(guest, **params) as seat:
            return await work(seat)

    return guest.lab.do(do)


def test_terminal_echoes_and_runs_what_is_typed(guest: Guest) -> None:
    """Input typed before the shell is ready is not lost; output comes as `pty`."""

    async def work(seat: Terminal) -> bytes:
        await seat.type("echo $((6*7)) $TERM $(tty)/$((1+1))end\n")
        return await seat.read_until(b"/2end")

    seen = at(guest, work)
    assert b"echo $((6*7))" in seen
    assert b"42 xterm-256color /dev/pts/" in seen


def test_terminal_has_the_size_that_was_asked_for_and_is_resized(guest: Guest) -> None:
    """A resize holds for the input that follows it."""

    async def work(seat: Terminal) -> tuple[bytes, bytes]:
        await seat.type("stty size; echo end1\n")
        first = await seat.read_until(b"\nend1")
        await guest.sandbox.call("process.resize", pid=seat.pid, cols=100, rows=30)
        await seat.type("stty size; echo end2\n")
        return first, await seat.read_until(b"\nend2")

    first, second = at(guest, work)
    assert b"24 80" in first
    assert b"30 100" in second


def test_terminal_of_user_belongs_to_it(guest: Guest) -> None:
    """The shell can open its own terminal again, and has job control."""

    async def work(seat: Terminal) -> bytes:
        await seat.type("echo hello > /dev/tty; sleep 30 & jobs; echo the end\n")
        return await seat.read_until(b"\nthe end")

    seen = at(guest, work)
    assert b"\rhello" in seen
    assert b"Running" in seen
    assert b"no job control" not in seen


def test_exit_at_the_terminal_is_an_ordinary_end(guest: Guest) -> None:
    """The kernel's EIO at the close of a terminal is no error."""

    async def work(seat: Terminal) -> dict[str, Any]:
        await seat.type("exit\n")
        await seat.read_until(b"never appears")
        return seat.end

    assert at(guest, work)["exit_code"] == 0


def test_control_c_interrupts_the_foreground(guest: Guest) -> None:
    """A keystroke becomes a signal, so the terminal is a controlling one."""

    async def work(seat: Terminal) -> bytes:
        await seat.type("python3 -c 'print(6 * 7, flush=True); input()'\n")
        await seat.read_until(b"42\r\n")
        await seat.type("\x03")
        return await seat.read_until(b"KeyboardInterrupt")

    assert b"^C" in at(guest, work)


def test_terminal_outlives_its_client(guest: Guest) -> None:
    """Who connects again by pid goes on where the other left."""

    async def leave() -> int:
        async with terminal(guest) as seat:
            await seat.type("mark=kept\n")
            await seat.read_until(b"mark=kept")
            pid: int = seat.pid
            return pid

    pid = guest.lab.do(leave)

    async def come_back() -> bytes:
        async with guest.sandbox.stream("process.connect", pid=pid) as stream:
            await anext(stream)
            seat = Terminal(guest, stream, pid)
            await seat.type("echo $mark again\n")
            return await seat.read_until(b"kept again")

    assert b"kept again" in guest.lab.do(come_back)


def test_terminal_has_no_stdin_to_close_or_write(guest: Guest) -> None:
    """The calls for pipes are refused, and the other way round."""

    async def work(seat: Terminal) -> str:
        with pytest.raises(GuestError) as refusal:
            await guest.sandbox.call("process.close_stdin", pid=seat.pid)
        return refusal.value.code

    assert at(guest, work) == "failed_precondition"
    pid = guest.spawn("sleep 30", stdin=True)
    with pytest.raises(GuestError, match="no terminal"):
        guest.call("process.resize", pid=pid, cols=1, rows=1)
