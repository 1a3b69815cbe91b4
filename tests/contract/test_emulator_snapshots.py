"""Snapshots, forks and pauses, through the real SDK."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from e2b import Sandbox, SandboxException, SandboxNotFoundException

from harness.emulator.attach import AdminClient

MakeSandbox = Callable[..., Sandbox]
BOOT_ID = "/proc/sys/kernel/random/boot_id"
HIDE = "mkdir hidden; echo deep > hidden/file; chmod 000 hidden"


def _boot_id(sandbox: Sandbox) -> str:
    return sandbox.files.read(BOOT_ID).strip()


def test_snapshot_of_odd_files_keeps_links_holes_modes_and_metadata(
    sandbox: Sandbox, make_sandbox: MakeSandbox
) -> None:
    """What is started from a snapshot has the files as they were, kind by kind."""
    sandbox.commands.run(f"echo one > a; ln a b; ln -s a c; truncate -s 100M hole; {HIDE}")
    sandbox.files.write("noted", "text", metadata={"kind": "note"})
    snapshot = sandbox.create_snapshot()
    twin = make_sandbox(snapshot.snapshot_id)
    told = twin.commands.run(
        "stat -c %h a; readlink c; stat -c %s hole; du -k hole | cut -f1; stat -c %a hidden;"
        " sudo cat hidden/file"
    )
    assert told.stdout.split() == ["2", "a", str(100 * 1024**2), "0", "0", "deep"]
    assert twin.files.get_info("noted").metadata == {"kind": "note"}
    assert twin.sandbox_id != sandbox.sandbox_id
    assert _boot_id(twin) != _boot_id(sandbox)


def test_snapshot_and_its_sandboxes_do_not_share_later_writes(
    sandbox: Sandbox, make_sandbox: MakeSandbox
) -> None:
    """The origin, the snapshot and each sandbox made from it change without each other."""
    sandbox.files.write("state", "then")
    snapshot = sandbox.create_snapshot()
    sandbox.files.write("state", "later")
    first = make_sandbox(snapshot.snapshot_id)
    first.files.write("state", "first")
    second = make_sandbox(snapshot.snapshot_id)
    seen = [each.files.read("state") for each in (sandbox, first, second)]
    assert seen == ["later", "first", "then"]


def test_snapshot_while_a_command_writes_stands_still_and_goes_on(sandbox: Sandbox) -> None:
    """A running command is held up for the copy, not ended, and misses nothing."""
    lines: list[str] = []
    ticking = sandbox.commands.run(
        "for i in $(seq 40); do echo $i; sleep 0.02; done", background=True
    )
    sandbox.create_snapshot()
    ticking.wait(on_stdout=lines.append)
    assert "".join(lines).split() == [str(number) for number in range(1, 41)]


def test_snapshots_are_found_by_name_and_by_sandbox(
    sandbox: Sandbox, make_sandbox: MakeSandbox
) -> None:
    """A name means all of its tags, a name with a tag that one, and nothing else is found."""
    other = make_sandbox()
    named = sandbox.create_snapshot(name="shelf-one")
    tagged = other.create_snapshot(name="shelf-one:v2")

    def ids(name: str | None = None, sandbox_id: str | None = None) -> set[str]:
        pages = Sandbox.list_snapshots(name=name, sandbox_id=sandbox_id)
        return {found.snapshot_id for found in pages.next_items()}

    assert named.names == tagged.names
    assert ids(name="shelf-one") == {named.snapshot_id, tagged.snapshot_id}
    assert ids(name="shelf-one:default") == {named.snapshot_id}
    assert ids(name="shelf-one:v2") == {tagged.snapshot_id}
    assert ids(sandbox_id=other.sandbox_id) == {tagged.snapshot_id}
    assert ids() == {named.snapshot_id, tagged.snapshot_id}
    assert ids(name="shelf-two") == set()


def test_snapshots_are_listed_in_pages_without_gap_or_double(sandbox: Sandbox) -> None:
    """Page after page holds every snapshot once."""
    made = {sandbox.create_snapshot().snapshot_id for _ in range(3)}
    pages = Sandbox.list_snapshots(limit=2)
    seen = []
    while pages.has_next:
        seen += [found.snapshot_id for found in pages.next_items()]
    assert len(seen) == 3
    assert set(seen) == made


def test_snapshot_of_a_known_name_replaces_it(sandbox: Sandbox, make_sandbox: MakeSandbox) -> None:
    """One name stands for the newest files."""
    for text in ("old", "new"):
        sandbox.files.write("state", text)
        sandbox.create_snapshot(name="again")
    assert make_sandbox("again").files.read("state") == "new"
    assert len(Sandbox.list_snapshots().next_items()) == 1


def test_snapshot_outlives_its_sandbox_until_it_is_deleted(make_sandbox: MakeSandbox) -> None:
    """A snapshot needs no sandbox; a deleted one is no template any more."""
    origin = make_sandbox(envs={"ORIGIN": "yes"})
    snapshot = origin.create_snapshot()
    origin.kill()
    twin = make_sandbox(snapshot.snapshot_id)
    assert twin.commands.run("echo $ORIGIN").stdout == "yes\n"
    with pytest.raises(SandboxException, match="there are running sandboxes using it"):
        Sandbox.delete_snapshot(snapshot.snapshot_id)
    twin.pause()
    with pytest.raises(SandboxException, match="there are paused sandboxes using it"):
        Sandbox.delete_snapshot(snapshot.snapshot_id)
    twin.kill()
    assert Sandbox.delete_snapshot(snapshot.snapshot_id)
    assert not Sandbox.delete_snapshot(snapshot.snapshot_id)
    with pytest.raises(SandboxException, match="not found"):
        make_sandbox(snapshot.snapshot_id)


def test_reset_deletes_snapshots(sandbox: Sandbox, emulator: AdminClient) -> None:
    """Nothing of one test is a template in the next."""
    sandbox.create_snapshot(name="left-over")
    emulator.reset()
    assert Sandbox.list_snapshots().next_items() == []


def test_fork_gives_independent_sandboxes_with_what_the_origin_was_made_with(
    make_sandbox: MakeSandbox,
) -> None:
    """Each fork has the files, variables and metadata; the origin keeps its processes."""
    origin = make_sandbox(envs={"ORIGIN": "yes"}, metadata={"suite": "forks"})
    waiting = origin.commands.run("sleep 1000", background=True)
    origin.files.write("state", "before")
    forks = [fork for fork in origin.fork(count=3, timeout=60) if isinstance(fork, Sandbox)]
    try:
        assert len({fork.sandbox_id for fork in forks} | {origin.sandbox_id}) == 4
        for number, fork in enumerate(forks):
            assert fork.commands.run("echo $ORIGIN; cat state").stdout == "yes\nbefore"
            fork.files.write("state", str(number))
            assert fork.get_info().metadata["suite"] == "forks"
        assert origin.files.read("state") == "before"
        assert waiting.pid in {process.pid for process in origin.commands.list()}
    finally:
        for fork in forks:
            fork.kill()
    with pytest.raises(SandboxNotFoundException):
        forks[0].fork()


def test_pause_of_files_only_ends_processes_and_keeps_files_and_token(
    make_sandbox: MakeSandbox,
) -> None:
    """The tree, the variables and the credentials outlive it; no process does."""
    sandbox = make_sandbox(envs={"ORIGIN": "yes"})
    sandbox.commands.run("sleep 1000", background=True)
    sandbox.commands.run("echo kept > /tmp/file")
    before = _boot_id(sandbox)
    sandbox.pause(keep_memory=False)
    assert not sandbox.is_running()
    sandbox.connect()
    assert sandbox.commands.run("echo $ORIGIN; cat /tmp/file").stdout == "yes\nkept\n"
    assert [process for process in sandbox.commands.list() if process.args] == []
    assert _boot_id(sandbox) != before
    assert sandbox.commands.run("sudo id -u").stdout == "0\n"


def test_pause_with_memory_keeps_processes_and_boot_id(sandbox: Sandbox) -> None:
    """A counting process goes on where it stood."""
    counting = sandbox.commands.run(
        "i=0; while true; do i=$((i+1)); echo $i > new; mv new count; sleep 0.01; done",
        background=True,
    )
    before = _boot_id(sandbox)
    sandbox.pause()
    sandbox.connect()
    assert _boot_id(sandbox) == before
    assert counting.pid in {process.pid for process in sandbox.commands.list()}
    counted = "until [ -e count ]; do sleep 0.01; done; a=$(cat count)"
    later = "until [ $(cat count) -gt $a ]; do sleep 0.01; done"
    assert sandbox.commands.run(f"{counted}; {later}").exit_code == 0


def test_paused_sandbox_is_neither_snapshotted_nor_forked_but_ended(
    make_sandbox: MakeSandbox,
) -> None:
    """What needs a running one says so in the service's ways; a kill does not."""
    sandbox = make_sandbox()
    sandbox.pause(keep_memory=False)
    with pytest.raises(SandboxNotFoundException):
        sandbox.create_snapshot()
    with pytest.raises(SandboxException, match="paused and cannot be forked; resume it first"):
        sandbox.fork()
    with pytest.raises(SandboxNotFoundException):
        sandbox.set_timeout(60)
    assert sandbox.kill()
    assert not sandbox.kill()


def test_many_requests_to_a_paused_sandbox_resume_it_once(make_sandbox: MakeSandbox) -> None:
    """Traffic from several clients at the same time finds one resumed sandbox."""
    sandbox = make_sandbox(lifecycle={"on_timeout": "pause", "auto_resume": True})
    sandbox.files.write("state", "awake")
    sandbox.pause()
    seen: list[str] = []
    threads = [
        threading.Thread(target=lambda: seen.append(sandbox.files.read("state"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == ["awake"] * 8
