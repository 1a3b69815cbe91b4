"""Attempts to get out of a sandbox, from inside; each with a control that must succeed."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from guest_lab import Guest, Lab, eventually, opened_lab, processes_with, sleep_of_its_own

from harness.emulator.isolation import GuestError, Limits, Network
from harness.emulator.isolation.user_ids import can_map_range


@pytest.fixture
def host_process() -> Iterator[subprocess.Popen[bytes]]:
    """A process of this machine that a sandbox must not reach."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("user", ["user", "root"])
def test_files_of_the_host_are_not_there(guest: Guest, tmp_path: Path, user: str) -> None:
    """Neither by path, nor by search, nor through the first process's root."""
    secret = tmp_path / "host-only-file"
    secret.write_text("host only")
    secret.chmod(0o644)
    assert secret.read_text() == "host only"
    for path in (str(secret), f"/proc/1/root{secret}", f"/../../..{secret}"):
        assert guest.run(f"cat {path}", user=user).exit_code != 0
        with pytest.raises(GuestError):
            guest.read(path, user=user)
    assert guest.run("find / -xdev -name host-only-file 2>/dev/null", user=user).text == ""
    guest.write("inside-only-file", b"x")
    found = guest.run("find / -xdev -name inside-only-file 2>/dev/null").text
    assert found == "/home/user/inside-only-file"


def test_home_of_the_hosts_user_is_not_there(guest: Guest) -> None:
    """Of the host's home only the way to the interpreter may be seen, and nothing beside it."""
    home = Path.home()
    shown = set(guest.run(f"ls -A {home}", user="root").text.split())
    assert shown <= {".pyenv", ".local", ".venv"}
    assert guest.run(f"find {home} -maxdepth 4 -type f 2>/dev/null", user="root").text == ""


def test_links_through_the_file_calls_stay_inside(guest: Guest, tmp_path: Path) -> None:
    """A symlink to a host path leads to the sandbox's own path of that name."""
    (tmp_path / "target").write_text("host")
    guest.run(f"ln -s {tmp_path}/target link; ln -s / root")
    with pytest.raises(GuestError):
        guest.read("link")
    guest.write(f"{tmp_path}/target", b"inside", user="root")
    assert guest.read("link") == b"inside"
    assert guest.read("root/etc/hostname") == b"e2b.local\n"
    assert (tmp_path / "target").read_text() == "host"


@pytest.mark.parametrize(
    "attempt",
    [
        "touch /usr/bin/planted",
        "mount -o remount,rw /usr && touch /usr/bin/planted",
        "mknod /tmp/disk b 254 0 && head -c 1 /tmp/disk",
        "echo 1 > /proc/sys/vm/drop_caches",
        "echo b > /proc/sysrq-trigger",
        "chown 33 /usr/bin/env; test $(stat -c %u /usr/bin/env) = 33",
        "head -c 1 /proc/kcore",
        "touch /proc/1/root/usr/x",
        "touch /run/e2b/agent/guest/agent.py",
        'python3 -c \'import os; os.chroot("/proc/1/cwd/.."); open("/usr/bin/planted", "w")\'',
        "unshare -Ur sh -c 'mount --bind /tmp /usr && mount -o remount,rw /usr/bin'",
        "mount -o remount,bind,rw /usr",
        "mount -o remount,bind,rw /run/e2b/environment",
        "umount /usr/local && touch /usr/local/x",
        "umount /usr/local && umount /usr/local",
        "umount /usr/local && mount -o remount,bind,rw /usr/local",
        "touch $(readlink -f /usr/local/bin/python3)",
        "mount -o remount,bind,rw /run/e2b/agent",
        "mount -o remount,bind,rw /proc/sys/kernel/random/boot_id",
    ],
)
def test_root_of_a_sandbox_has_no_power_over_the_host(guest: Guest, attempt: str) -> None:
    """Rights inside the namespace are none outside of it."""
    ended = guest.run(f"set -e; {attempt}", user="root")
    assert ended.exit_code != 0, ended
    assert not Path("/usr/bin/planted").exists()
    assert guest.run("touch /opt/mine && mount -t tmpfs none /mnt", user="root").exit_code == 0


def test_processes_of_the_host_are_neither_seen_nor_signalled(
    guest: Guest, host_process: subprocess.Popen[bytes]
) -> None:
    """Not by their pid, not by -1; the sandbox's own processes die of it, its agent does not."""
    inside = guest.spawn("sleep 601")
    assert "sleep 600" not in guest.run("ps -A -o args", user="root").text
    assert "sleep 601" in guest.run("ps -A -o args", user="root").text
    guest.run(f"kill -9 {host_process.pid} 1; kill -9 -1", user="root")
    assert host_process.poll() is None
    eventually(lambda: guest.run(f"kill -0 {inside}").exit_code == 1)
    assert guest.call("ping")["pid"] == 1


def test_sandboxes_do_not_see_each_other(lab: Lab, guest: Guest) -> None:
    """Not the files, not the processes, not the ports, not the shared memory."""
    other = lab.start()
    try:
        other.write("/tmp/mine", b"x")  # noqa: S108 - the sandbox's
        other.run("touch /dev/shm/mine; mkdir /run/user-mine", user="root")
        server = "import socket; s = socket.create_server(('127.0.0.1', 8765)); input()"
        other.spawn(f'python3 -c "{server}"', stdin=True)
        eventually(lambda: other.run("exec 3<>/dev/tcp/127.0.0.1/8765").exit_code == 0)
        assert guest.run("ls /tmp /dev/shm; ls -d /run/user-mine").exit_code != 0
        assert guest.run("ls /tmp /dev/shm").text.split() == ["/dev/shm:", "/tmp:"]  # noqa: S108 - names inside
        assert other.run("pgrep -fc '[8]765'").text != "0"
        assert guest.run("pgrep -fc '[8]765'").text == "0"
        assert guest.run("exec 3<>/dev/tcp/127.0.0.1/8765").exit_code != 0
        assert guest.sandbox.boot_id != other.sandbox.boot_id
    finally:
        lab.do(lambda: lab.host.discard(other.sandbox.sandbox_id))


def test_network_is_a_loopback_of_its_own(guest: Guest) -> None:
    """Nothing but lo, which is up; names are refused at once."""
    assert guest.run("cat /proc/net/dev | tail -n +3 | cut -d: -f1").text.split() == ["lo"]
    assert (
        guest.run(
            "ping -c1 -W1 127.0.0.1 || python3 -c 'import socket; "
            's = socket.create_server(("127.0.0.1", 0)); '
            "socket.create_connection(s.getsockname())'"
        ).exit_code
        == 0
    )
    assert guest.run("exec 3<>/dev/tcp/10.0.0.1/80").exit_code != 0


def test_host_network_is_a_choice(lab: Lab) -> None:
    """With it, a service on this machine's loopback can be reached; without, it cannot."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        open_guest = lab.start(network=Network.HOST)
        try:
            assert open_guest.run(f"exec 3<>/dev/tcp/127.0.0.1/{port}").exit_code == 0
        finally:
            lab.do(lambda: lab.host.discard(open_guest.sandbox.sandbox_id))


def test_users_are_two_where_the_kernel_allows_it(lab: Lab, guest: Guest) -> None:
    """Files of root are closed to user; with one id that is lost, and known to be."""
    guest.run("umask 077; echo x > /opt/rootonly", user="root")
    readable = guest.run("cat /opt/rootonly").exit_code == 0
    assert readable is not lab.many_users
    assert guest.run("cat /opt/rootonly", user="root").text == "x"


def test_root_can_chown_everywhere(lab: Lab, guest: Guest) -> None:
    """Archives and package managers give files away; with one id that changes nothing."""
    ended = guest.run(
        "touch /opt/f && chown user:user /opt/f && chown -h 33 /opt/f && stat -c %u /opt/f && "
        "tar -C /opt --owner=1000 -cf /opt/a.tar f && tar -C /mnt -xpf /opt/a.tar",
        user="root",
    )
    assert (ended.exit_code, ended.text) == (0, "33" if lab.many_users else "0"), ended


def test_descriptors_of_the_server_are_not_inherited(guest: Guest) -> None:
    """A command has its three streams and the directory that ls reads, nothing else."""
    assert guest.run("ls /proc/self/fd | wc -l", user="root").text == "4"
    with socket.socket() as listener:
        listener.set_inheritable(True)
        assert guest.run("ls /proc/self/fd | wc -l", user="root").text == "4"


@pytest.fixture(scope="module")
def tight_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Sandboxes with limits that a test can reach."""
    limits = Limits(processes=64, file_size_bytes=1 << 20, memory_bytes=256 << 20)
    folder = tmp_path_factory.mktemp("tight") / "state"
    with opened_lab(folder, pool_size=0, limits=limits) as lab:
        yield lab


@pytest.fixture
def tight(tight_lab: Lab) -> Iterator[Guest]:
    """One such sandbox."""
    guest = tight_lab.start()
    yield guest
    tight_lab.do(lambda: tight_lab.host.discard(guest.sandbox.sandbox_id))


def test_fork_bomb_is_bounded(tight: Guest) -> None:
    """It runs into the limit; the agent, and root's kill, still work."""
    tight.write("bomb.py", b"import os, time\nwhile True:\n    os.fork() or time.sleep(50)\n")
    assert b"BlockingIOError" in tight.run("python3 bomb.py").stderr
    count = int(tight.run("pgrep -c python", user="root").text)
    assert 20 < count <= 64
    tight.run("kill -9 -1", user="root")
    eventually(lambda: tight.run("echo alive").text == "alive")


def test_memory_hog_and_huge_file_are_stopped(tight: Guest) -> None:
    """One process cannot take all memory, nor write a file without end; smaller ones can."""
    allocate = "python3 -c 'print(len(bytearray({} << 20)))'"
    assert b"MemoryError" in tight.run(allocate.format(1024)).stderr
    assert tight.run(allocate.format(16)).text == str(16 << 20)
    assert tight.run("head -c 2097152 /dev/zero > big").exit_code != 0
    with pytest.raises(GuestError) as refusal:
        tight.write("big", bytes(2 << 20))
    assert refusal.value.code == "resource_exhausted"


def test_nothing_that_the_sandbox_runs_has_rights_on_the_host(guest: Guest) -> None:
    """Seen from the host, its root is a user without rights, or the one who started it."""
    command = sleep_of_its_own()
    guest.spawn(f"exec {command}", user="root")
    found = eventually(lambda: processes_with(command))
    assert len(found) == 1
    assert found[0].stat().st_uid == (200_000 if can_map_range() else os.geteuid())
