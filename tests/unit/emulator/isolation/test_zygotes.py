"""Sandboxes as forks of a zygote: that they are, and what happens where one cannot make them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from guest_lab import Guest, Lab, eventually, opened_lab

from harness.emulator.isolation import VolumeMount, bubblewrap

DOWN = 8  # sandboxes at once: more than come up one after the other in a moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Nursery:
    """A lab without a pool, its launcher, and the zygote that its first sandbox came from."""

    lab: Lab
    launcher: int
    bubblewrap: int
    zygote: int

    def sandboxes(self) -> list[int]:
        """The launcher's children, less what made the zygote."""
        return [pid for pid in children(self.launcher) if pid != self.bubblewrap]


def children(pid: int) -> list[int]:
    """The pids of a process's children, of its first thread."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def name_of(pid: int) -> str:
    """What a list of processes calls it."""
    return Path(f"/proc/{pid}/comm").read_text().strip()


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    """A host whose zygote runs."""
    before = set(children(os.getpid()))
    with opened_lab(tmp_path / "state", pool_size=0) as lab:
        [launcher] = set(children(os.getpid())) - before
        [outer] = children(launcher)
        [zygote] = children(outer)
        yield Nursery(lab=lab, launcher=launcher, bubblewrap=outer, zygote=zygote)


def test_sandbox_is_one_process_and_one_with_a_volume_is_bubblewraps(
    nursery: Nursery, tmp_path: Path
) -> None:
    """A fork shows its own boot id; a volume, which no zygote sees, is mounted all the same."""
    guest = nursery.lab.start()
    [fork] = nursery.sandboxes()
    assert name_of(fork) != "bwrap"
    assert guest.sandbox.boot_id in Path(f"/proc/{fork}/cmdline").read_text()
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / "kept").write_text("kept")
    (tmp_path / "volume").chmod(0o755)
    mount = VolumeMount(source=tmp_path / "volume", target="/data")
    other = nursery.lab.start(mounts=[mount])
    assert other.run("cat /data/kept", user="root").stdout == b"kept"
    [outer] = set(nursery.sandboxes()) - {fork}
    assert name_of(outer) == "bwrap"


def test_killed_zygote_takes_no_sandbox_along_and_others_still_come_up(nursery: Nursery) -> None:
    """Each is then bubblewrap's, within the same walls."""
    before = nursery.lab.start()
    os.kill(nursery.zygote, signal.SIGKILL)
    after = nursery.lab.start()
    for guest in (before, after):
        assert guest.run("echo $(hostname) $(id -un)").stdout == b"e2b.local user\n"
    assert min(map(name_of, nursery.sandboxes())) == "bwrap"
    nursery.lab.do(after.sandbox.kill)
    nursery.lab.do(before.sandbox.kill)
    assert not nursery.sandboxes()


def test_sandboxes_asked_of_a_zygote_that_dies_come_up(nursery: Nursery) -> None:
    """What it had been asked, and had not done, is done by bubblewrap."""
    os.kill(nursery.zygote, signal.SIGSTOP)

    async def start_and_kill() -> None:
        names = [f"waiting{number}" for number in range(DOWN)]
        starts = [asyncio.create_task(nursery.lab.host.start(name)) for name in names]
        await asked(nursery, len(names))
        os.kill(nursery.zygote, signal.SIGKILL)
        for sandbox in await asyncio.gather(*starts):
            assert await sandbox.call("ping") == {"pid": 1, "boot_id": sandbox.boot_id}

    nursery.lab.do(start_and_kill)
    assert {name_of(pid) for pid in nursery.sandboxes()} == {"bwrap"}
    assert len(nursery.sandboxes()) == DOWN


def test_start_given_up_before_its_fork_leaves_no_process(nursery: Nursery) -> None:
    """The end is remembered until there is something to end; a start that goes on is not hit."""
    os.kill(nursery.zygote, signal.SIGSTOP)

    async def start_and_give_up() -> None:
        given_up = asyncio.create_task(nursery.lab.host.start("givenup"))
        goes_on = asyncio.create_task(nursery.lab.host.start("goeson"))
        await asked(nursery, 2)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        os.kill(nursery.zygote, signal.SIGCONT)
        assert (await goes_on).alive

    nursery.lab.do(start_and_give_up)
    assert eventually(lambda: len(nursery.sandboxes()) == 1)


def test_zygote_that_cannot_come_up_costs_time_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sandboxes come up without it; its own log says why it did not."""
    monkeypatch.setattr(bubblewrap, "_SANDBOXES", "/proc/no/such/place")
    with opened_lab(tmp_path / "state", pool_size=0) as lab:
        guest: Guest = lab.start()
        assert guest.run("id -un").stdout == b"user\n"
        [log] = (tmp_path / "state").glob(".host-*/zygote-*/agent.log")
        assert "bwrap: " in log.read_text()


async def asked(nursery: Nursery, number: int) -> None:
    """Returns once so many of its sandboxes' sockets are there: each is made with the request."""
    folders = nursery.lab.host.new_layer().parent
    while len(list(folders.glob("pool-*/agent.sock"))) < number:  # noqa: ASYNC110 - the launcher tells nobody
        await asyncio.sleep(0)
