"""Sandboxes without namespaces: what still holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from guest_lab import (
    Guest,
    Lab,
    collect,
    eventually,
    opened_lab,
    processes_with,
    sleep_of_its_own,
)

from harness.emulator.isolation import GuestError, IsolationMode
from harness.emulator.isolation.process_mode import LOSSES


@pytest.fixture(scope="module")
def bare_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A host that isolates nothing."""
    folder = tmp_path_factory.mktemp("bare") / "state"
    with opened_lab(folder, mode=IsolationMode.PROCESS) as lab:
        yield lab


@pytest.fixture
def bare(bare_lab: Lab) -> Iterator[Guest]:
    """A sandbox of it."""
    guest = bare_lab.start()
    yield guest
    bare_lab.do(lambda: bare_lab.host.discard(guest.sandbox.sandbox_id))


def test_commands_and_file_calls_share_one_home(bare: Guest) -> None:
    """/home/user means the sandbox's own folder in calls and in the words of a command."""
    assert bare.write("/home/user/a/b", b"x")["path"] == "/home/user/a/b"
    assert bare.run("cat /home/user/a/b; cat a/b; cat ~/a/b").text == "xxx"
    assert bare.run("cat b", cwd="/home/user/a").text == "x"
    listed = bare.call("fs.list", path="/home/user", depth=2, user="user")["entries"]
    paths = ["/home/user/.bash_profile", "/home/user/a", "/home/user/a/b"]
    assert [entry["path"] for entry in listed] == paths
    assert [entry.path for entry in bare.sandbox.files.walk()] == [
        "/home/user/.bash_profile",
        "/home/user/a",
        "/home/user/a/b",
    ]
    assert not Path("/home/user/a").exists()


def test_environment_is_not_the_hosts(bare: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also here nothing but what was given."""
    monkeypatch.setenv("HARNESS_TEST_LEAK", "leaked")
    text = bare.run("env; command -v python3 sudo").text
    assert "leaked" not in text
    assert "E2B_SANDBOX=true" in text
    ended = bare.run("sudo -n echo done")
    assert ended.text == "done", ended


@pytest.mark.parametrize("path", ["/etc/planted", "/usr/planted", "/var/planted"])
def test_file_calls_do_not_change_the_host(bare: Guest, path: str) -> None:
    """Writes outside the sandbox's homes and /tmp are refused."""
    with pytest.raises(GuestError) as refusal:
        bare.write(path, b"x")
    assert refusal.value.code == "permission_denied"
    with pytest.raises(GuestError):
        bare.call("fs.remove", path=path, user="root")
    assert not Path(path).exists()


def test_kill_takes_descendants_along(bare: Guest) -> None:
    """What left its session and parents is found, too, and other sandboxes are not touched."""
    other = bare.lab.start()
    mine, theirs = sleep_of_its_own(), sleep_of_its_own()
    other.spawn(theirs)
    bare.run(f"setsid sh -c '{mine} & {mine}' > /dev/null 2>&1 &")
    eventually(lambda: len(processes_with(mine)) > 1)
    bare.lab.do(bare.sandbox.kill)
    assert not processes_with(mine)
    assert processes_with(theirs)
    bare.lab.do(lambda: bare.lab.host.discard(other.sandbox.sandbox_id))


def test_pause_freezes_only_its_own_processes(bare: Guest) -> None:
    """Without a pid namespace -1 would be this whole machine."""
    pid = bare.spawn("sleep 99")
    bare.lab.do(bare.sandbox.pause)
    assert "State:\tT" in Path(f"/proc/{pid}/status").read_text()
    assert "State:\tT" not in Path("/proc/self/status").read_text()
    bare.lab.do(bare.sandbox.resume)

    async def end() -> int:
        async with bare.sandbox.stream("process.connect", pid=pid) as stream:
            await anext(stream)
            await bare.sandbox.call("process.signal", pid=pid, signal=9)
            return (await collect(stream)).exit_code

    assert bare.lab.do(end) == -1


def test_losses_are_said() -> None:
    """One place lists what this mode does not hold."""
    assert len(LOSSES) > 5
    assert any("network" in loss for loss in LOSSES)
