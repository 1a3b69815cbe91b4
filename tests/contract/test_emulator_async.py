"""The same contract through the asynchronous SDK, where it could differ."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from e2b import AsyncSandbox, CommandExitException
from e2b.exceptions import NotFoundException, TimeoutException
from e2b.sandbox.filesystem.watch_handle import FilesystemEvent, FilesystemEventType

pytestmark = pytest.mark.usefixtures("e2b_env")


def in_sandbox(work: Callable[[AsyncSandbox], Awaitable[None]]) -> None:
    """Runs the work with a sandbox that is gone afterwards."""

    async def run() -> None:
        sandbox = await AsyncSandbox.create(timeout=120)
        try:
            await work(sandbox)
        finally:
            await sandbox.kill()

    asyncio.run(run())


def test_async_commands_and_files() -> None:
    """The round trip of every day."""

    async def work(sandbox: AsyncSandbox) -> None:
        await sandbox.files.write("note", "async")
        assert (await sandbox.commands.run("cat note")).stdout == "async"
        with pytest.raises(CommandExitException):
            await sandbox.commands.run("exit 1")
        assert b"".join([piece async for piece in await sandbox.files.read("note", "stream")])

    in_sandbox(work)


def test_async_streams_side_by_side() -> None:
    """Thirty commands and their callbacks at once."""

    async def work(sandbox: AsyncSandbox) -> None:
        results = await asyncio.gather(
            *(sandbox.commands.run(f"echo {n}; sleep 0.05; echo {n}") for n in range(30))
        )
        assert [result.stdout for result in results] == [f"{n}\n{n}\n" for n in range(30)]

    in_sandbox(work)


def test_async_upload_from_a_generator() -> None:
    """Bytes that come as they are made."""

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(50):
            yield bytes([number]) * 10_000

    async def work(sandbox: AsyncSandbox) -> None:
        await sandbox.files.write("made", pieces())
        assert (await sandbox.files.get_info("made")).size == 500_000

    in_sandbox(work)


def test_async_watch_is_a_stream_of_events() -> None:
    """The asynchronous watch is pushed, not polled."""

    async def work(sandbox: AsyncSandbox) -> None:
        await sandbox.files.make_dir("w")
        events: asyncio.Queue[FilesystemEvent] = asyncio.Queue()
        watch = await sandbox.files.watch_dir("w", on_event=events.put)
        await sandbox.files.write("w/new", "x")
        first = await asyncio.wait_for(events.get(), 60)
        assert (first.name, first.type) == ("new", FilesystemEventType.CREATE)
        await watch.stop()  # type: ignore[no-untyped-call]  # the SDK's own gap

    in_sandbox(work)


def test_async_input_handle_writes_and_closes() -> None:
    """The long-lived input of the asynchronous SDK."""

    async def work(sandbox: AsyncSandbox) -> None:
        handle = await sandbox.commands.run("cat; echo end", background=True, stdin=True)
        async with sandbox.commands.stream_input(handle.pid) as stdin:
            await stdin.send("one ")
            await stdin.send(b"two\n")
        await sandbox.commands.close_stdin(handle.pid)
        assert (await handle.wait()).stdout == "one two\nend\n"

    in_sandbox(work)


def test_async_cancelled_command_goes_on() -> None:
    """A task that is cancelled leaves; the command stays."""

    async def work(sandbox: AsyncSandbox) -> None:
        handle = await sandbox.commands.run("sleep 1000", background=True)
        await handle.disconnect()
        assert [info.pid for info in await sandbox.commands.list()] == [handle.pid]
        assert await sandbox.commands.kill(handle.pid)

    in_sandbox(work)


def test_async_kill_during_a_command_is_told_as_such() -> None:
    """The stream breaks, and the client learns why."""

    async def work(sandbox: AsyncSandbox) -> None:
        handle = await sandbox.commands.run("sleep 1000", background=True)
        waiting = asyncio.create_task(handle.wait())
        await sandbox.kill()
        with pytest.raises(TimeoutException, match="was killed or reached its end of life"):
            await waiting
        with pytest.raises(NotFoundException):
            await AsyncSandbox.connect(sandbox.sandbox_id)

    in_sandbox(work)


def test_async_many_sandboxes_at_once() -> None:
    """Twelve sandboxes are created, used and killed side by side."""

    async def one(number: int) -> str:
        sandbox = await AsyncSandbox.create(timeout=60, metadata={"n": str(number)})
        try:
            return (await sandbox.commands.run(f"echo {number}")).stdout
        finally:
            await sandbox.kill()

    async def run() -> None:
        outputs = await asyncio.gather(*(one(number) for number in range(12)))
        assert outputs == [f"{number}\n" for number in range(12)]

    asyncio.run(run())
