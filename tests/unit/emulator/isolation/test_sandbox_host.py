"""The host of sandboxes: the pool, ends, pauses, after-images, and what is left of it all."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from guest_lab import (
    Guest,
    Lab,
    collect,
    eventually,
    open_files,
    opened_lab,
    processes_with,
    sleep_of_its_own,
)

from harness.emulator.isolation import IsolationMode, SandboxGoneError, SandboxHost, bubblewrap
from harness.emulator.isolation.bubblewrap import explain_refusal
from harness.emulator.isolation.launch import LauncherProcess
from harness.emulator.isolation.skeleton import Skeleton
from harness.emulator.isolation.user_ids import can_map_range
from harness.errors import BrokenError

SERVER = """
import asyncio, sys
from pathlib import Path
from harness.emulator.isolation import IsolationMode, SandboxHost

async def main():
    mode = IsolationMode(sys.argv[2])
    async with SandboxHost(Path(sys.argv[1]), pool_size=1, mode=mode) as host:
        sandbox = await host.start("victim")
        words = {"cmd": "/bin/sleep", "args": [sys.argv[3]], "envs": {}, "user": "user"}
        async with sandbox.stream("process.start", **words) as stream:
            await anext(stream)
            print("up", flush=True)
            await asyncio.sleep(600)

asyncio.run(main())
"""


REFUSED_SERVER = """
import asyncio, ctypes, sys
from pathlib import Path
from harness.emulator.isolation import SandboxHost

assert ctypes.CDLL(None).unshare(0x10000000) == 0
print("apart", flush=True)
sys.stdin.read()
Path("/proc/sys/user/max_user_namespaces").write_text("0")
asyncio.run(SandboxHost(Path(sys.argv[1]), pool_size=0).__aenter__())
"""


class Hesitant(Skeleton):
    """Writes the files of the second sandbox while the host is being closed, and after that."""

    closing: threading.Event
    writes: int

    def write(self, root: Path) -> None:
        super().write(root)
        if not root.parent.name.startswith("pool-"):
            return  # a zygote's own
        Hesitant.writes += 1
        if Hesitant.writes > 1:
            assert Hesitant.closing.wait(60)
            for number in range(2000):
                (root / f"late-{number}").write_bytes(b"x")


def launcher_above(pid: int) -> int:
    """The launcher among a process's ancestors."""
    while "launcher.py" not in Path(f"/proc/{pid}/cmdline").read_text():
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return pid


def mounts() -> int:
    """How many mounts this process sees."""
    return len(Path("/proc/self/mountinfo").read_text().splitlines())


def test_pooled_sandbox_becomes_any(lab: Lab) -> None:
    """Identity and variables are given at the start, not when it was booted."""
    first = lab.start(template="one", envs={"A": "1"})
    second = lab.start(template="two")
    shown = "echo $E2B_SANDBOX_ID $E2B_TEMPLATE_ID $A"
    assert first.run(shown).text == f"{first.sandbox.sandbox_id} one 1"
    assert second.run(shown).text == f"{second.sandbox.sandbox_id} two"
    assert first.sandbox.template == "one"


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden"])
def test_id_that_is_no_plain_name_is_refused(lab: Lab, name: str) -> None:
    """It names a folder, so it may not lead elsewhere."""
    with pytest.raises(ValueError, match="plain name"):
        lab.do(lambda: lab.host.start(name))


def test_id_in_use_is_refused_and_free_after_discard(lab: Lab) -> None:
    """Two sandboxes never share a folder."""
    lab.do(lambda: lab.host.start("twice"))
    with pytest.raises(ValueError, match="in use"):
        lab.do(lambda: lab.host.start("twice"))

    async def at_once() -> list[str]:
        started = (lab.host.start("racing") for _ in range(2))
        results = await asyncio.gather(*started, return_exceptions=True)
        return sorted(type(result).__name__ for result in results)

    assert lab.do(at_once) == ["Sandbox", "ValueError"]
    lab.do(lambda: lab.host.discard("racing"))
    lab.do(lambda: lab.host.discard("twice"))
    lab.do(lambda: lab.host.start("twice"))
    lab.do(lambda: lab.host.discard("twice"))


def test_kill_leaves_no_process_and_keeps_the_files(guest: Guest) -> None:
    """Also what ran in the background or in a session of its own is gone at once."""
    guest.write("a/kept.txt", b"still here")
    background = sleep_of_its_own()
    guest.run(f"nohup setsid {background} > /dev/null 2>&1 &", user="root")
    eventually(lambda: processes_with(background))
    guest.lab.do(guest.sandbox.kill)
    assert not processes_with(background)
    assert not guest.sandbox.alive
    assert [entry.path for entry in guest.sandbox.files.walk()] == [
        "/home/user/a",
        "/home/user/a/kept.txt",
    ]
    with guest.sandbox.files.open("a/kept.txt") as file:
        assert file.read() == b"still here"
    guest.lab.do(guest.sandbox.kill)


def test_calls_of_a_dead_sandbox_say_that_it_is_gone(guest: Guest) -> None:
    """A new call, and a stream that was under way."""

    async def kill_meanwhile() -> None:
        async with guest.shell("sleep 100") as stream:
            await anext(stream)
            await guest.sandbox.kill()
            await collect(stream)

    with pytest.raises(SandboxGoneError):
        guest.lab.do(kill_meanwhile)
    with pytest.raises(SandboxGoneError):
        guest.call("ping")


def test_death_of_the_first_process_ends_the_sandbox(guest: Guest) -> None:
    """Whoever ends it, `wait_dead` returns."""
    found = processes_with(guest.sandbox.boot_id)
    agents = [path for path in found if (path / "comm").read_text() != "bwrap\n"]
    assert len(agents) == 1
    os.kill(int(agents[0].name), signal.SIGKILL)
    guest.lab.do(guest.sandbox.wait_dead)
    assert not guest.sandbox.alive


def test_agent_that_stands_still_is_not_healthy_and_can_be_paused_and_killed(
    guest: Guest,
) -> None:
    """Asked for its health it says nothing for two seconds; it goes on where it is let."""
    found = processes_with(guest.sandbox.boot_id)
    [agent] = [int(path.name) for path in found if (path / "comm").read_text() != "bwrap\n"]
    eventually(lambda: guest.lab.do(guest.sandbox.healthy))
    os.kill(agent, signal.SIGSTOP)
    assert not guest.lab.do(guest.sandbox.healthy)
    guest.lab.do(lambda: guest.sandbox.pause(asks_agent=False))
    guest.lab.do(guest.sandbox.resume)
    eventually(lambda: guest.lab.do(guest.sandbox.healthy))
    os.kill(agent, signal.SIGSTOP)
    guest.lab.do(guest.sandbox.kill)
    assert not guest.sandbox.alive


def test_paused_sandbox_stands_still_and_goes_on(guest: Guest) -> None:
    """No process makes progress while frozen; a call waits until it goes on."""
    guest.write("ticks", b"")
    guest.spawn("while :; do echo x >> ticks; done")
    eventually(lambda: len(guest.read("ticks")) > 4)
    ticks = guest.sandbox.home_on_host / "ticks"

    async def pause() -> tuple[int, int, bool]:
        await guest.sandbox.pause()
        await guest.sandbox.pause()
        before = ticks.stat().st_size
        waiting = asyncio.create_task(guest.sandbox.call("ping"))
        done, _ = await asyncio.wait({waiting}, timeout=0.2)
        after = ticks.stat().st_size
        await guest.sandbox.resume()
        await waiting
        return before, after, bool(done)

    before, after, answered = guest.lab.do(pause)
    assert (before, answered) == (after, False)
    eventually(lambda: ticks.stat().st_size > after)


def test_paused_sandbox_can_be_killed(guest: Guest) -> None:
    """Stopped processes die as well."""
    guest.lab.do(guest.sandbox.pause)
    assert guest.sandbox.paused
    guest.lab.do(guest.sandbox.kill)
    assert not guest.sandbox.alive


def test_many_starts_at_once_all_come_up(lab: Lab) -> None:
    """More than the pool holds, at the same time."""

    async def start() -> list[str]:
        names = [f"many{number}" for number in range(12)]
        started = await asyncio.gather(*(lab.host.start(name) for name in names))
        answers = await asyncio.gather(*(sandbox.call("envs") for sandbox in started))
        await asyncio.gather(*(lab.host.discard(name) for name in names))
        return [answer["envs"]["E2B_SANDBOX_ID"] for answer in answers]

    assert lab.do(start) == [f"many{number}" for number in range(12)]


@pytest.fixture
def hostile_files(guest: Guest) -> Guest:
    """A dead sandbox whose files nobody may read."""
    guest.write("locked/file", b"secret")
    guest.run("chmod 0 locked/file; chmod 0 locked")
    guest.lab.do(guest.sandbox.kill)
    return guest


def test_files_that_the_sandbox_locked_are_read_and_deleted(hostile_files: Guest) -> None:
    """After-images are complete, whatever modes the sandbox set."""
    files = hostile_files.sandbox.files
    assert [entry.path for entry in files.walk()][-1] == "/home/user/locked/file"
    with files.open("locked/file") as file:
        assert file.read() == b"secret"
    folder = hostile_files.sandbox.folder
    hostile_files.lab.do(lambda: hostile_files.lab.host.discard(hostile_files.sandbox.sandbox_id))
    assert not folder.exists()
    assert hostile_files.lab.host.after_image(hostile_files.sandbox.sandbox_id) is None


def test_host_closed_while_its_pool_fills_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that a thread still writes are waited for, then deleted with all others."""
    Hesitant.closing, Hesitant.writes = threading.Event(), 0
    monkeypatch.setattr(bubblewrap, "Skeleton", Hesitant)
    close = LauncherProcess.close

    async def close_and_say(launcher: LauncherProcess) -> None:
        await close(launcher)
        Hesitant.closing.set()

    monkeypatch.setattr(LauncherProcess, "close", close_and_say)

    async def open_and_close() -> None:
        async with SandboxHost(tmp_path / "state", pool_size=2):
            while Hesitant.writes < 2:  # noqa: ASYNC110 - a thread counts, and tells nobody
                await asyncio.sleep(0)

    asyncio.run(open_and_close())
    assert Hesitant.writes == 2
    assert not [*(tmp_path / "state").iterdir()]


def test_closed_host_leaves_only_after_images(tmp_path: Path) -> None:
    """No process, no mount, no descriptor, no file of the pool."""
    mounts_before, files_before = mounts(), open_files()
    running_on = sleep_of_its_own()
    marker = tmp_path / "marker-of-this-test"
    with opened_lab(marker, pool_size=2) as lab:
        for _ in range(5):
            guest = lab.start()
            guest.write("f", b"x")
            assert mounts() == mounts_before
            lab.do(guest.sandbox.kill)
        running = lab.start()
        running.spawn(running_on)
    assert mounts() == mounts_before
    # A thread that fills another test's pool may hold a file for a moment.
    eventually(lambda: not open_files() - files_before)
    assert sorted(path.name[:5] for path in marker.iterdir()) == ["itest"] * 6
    assert not processes_with(running_on)


@pytest.mark.parametrize("mode", list(IsolationMode))
def test_killed_server_takes_its_sandboxes_along(tmp_path: Path, mode: IsolationMode) -> None:
    """SIGKILL of the server ends every sandbox, and the next server cleans up after it."""
    state, inside = tmp_path / "state", sleep_of_its_own()
    seconds = inside.removeprefix("sleep ")
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(state), mode, seconds], stdout=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"up\n"
        assert processes_with(inside)
        server.kill()
    eventually(lambda: not processes_with(inside))
    assert list(state.glob(".host-*"))

    async def restart() -> None:
        async with SandboxHost(state, mode=mode, pool_size=0) as host:
            await host.start("victim")

    asyncio.run(restart())
    assert [path.name for path in state.iterdir()] == ["victim"]


def test_killed_launcher_takes_its_sandboxes_along(tmp_path: Path) -> None:
    """Nothing survives it either, and the next start says what happened."""
    with opened_lab(tmp_path / "state", pool_size=0) as lab:
        guest, inside = lab.start(), sleep_of_its_own()
        guest.spawn(f"exec {inside}")
        eventually(lambda: processes_with(inside))
        # Not the newest child: numbers of processes begin anew, and other tests have launchers.
        [agent] = [
            path
            for path in processes_with(guest.sandbox.boot_id)
            if (path / "comm").read_text() != "bwrap\n"
        ]
        os.kill(launcher_above(int(agent.name)), signal.SIGKILL)
        lab.do(guest.sandbox.wait_dead)
        eventually(lambda: not processes_with(inside))
        with pytest.raises(BrokenError, match="has ended"):
            lab.start()


def test_machine_without_namespaces_is_told_what_to_do(tmp_path: Path) -> None:
    """The kernel's refusal becomes three lines that name the settings and the other way."""
    with subprocess.Popen(
        [sys.executable, "-c", REFUSED_SERVER, str(tmp_path / "state")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"apart\n"
        ids = f"0 0 {(1 << 32) - 1}" if can_map_range() else f"0 {os.getuid()} 1"
        folder = Path("/proc") / str(process.pid)
        (folder / "setgroups").write_text("allow" if can_map_range() else "deny")
        for name in ("uid_map", "gid_map"):
            (folder / name).write_text(ids)
        said = process.communicate(b"go", timeout=60)[1].decode()
    assert "refuses the namespaces of a sandbox" in said
    assert "user.max_user_namespaces" in said
    assert "--isolation process" in said
    assert list((tmp_path / "state").iterdir()) == []


def test_other_faults_are_not_blamed_on_namespaces() -> None:
    """An agent that crashes is reported with what it said."""
    error = explain_refusal("Traceback\nImportError: no module named json\n")
    assert "ImportError" in error.happened
    assert "namespaces" not in str(error)
