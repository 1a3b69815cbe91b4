"""The file calls of the agent."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from guest_lab import Guest

from harness.emulator.isolation import GuestError


def refused(guest: Guest, op: str, **params: Any) -> str:
    """The code of a call that must fail."""
    calls: dict[str, Callable[..., Any]] = {"fs.read": guest.read, "fs.write": guest.write}
    with pytest.raises(GuestError) as refusal:
        calls[op](**params) if op in calls else guest.call(op, **{"user": "user", **params})
    return refusal.value.code


def test_relative_path_starts_at_the_users_home(guest: Guest) -> None:
    """The answer carries the absolute path; parents are made, the user's, 0755."""
    entry = guest.write("a/b/c.txt", b"hello")
    assert entry == {
        "name": "c.txt",
        "type": "file",
        "path": "/home/user/a/b/c.txt",
        "size": 5,
        "mode": 0o644,
        "permissions": "-rw-r--r--",
        "owner": "user",
        "group": "user",
        "modified": entry["modified"],
    }
    assert guest.read("~/a/b/c.txt") == b"hello"
    assert guest.run("stat -c '%U %G %a' a a/b").text.splitlines() == ["user user 755"] * 2


def test_root_writes_into_its_own_home_as_root(guest: Guest) -> None:
    """Whose file it becomes depends on the user of the call."""
    entry = guest.write("x", b"1", user="root")
    assert (entry["path"], entry["owner"]) == ("/root/x", "root")


def test_written_file_is_what_a_command_sees(guest: Guest) -> None:
    """Every byte value, in several chunks, arrives on disk and comes back."""
    data = bytes(range(256)) * 5000
    guest.write("blob", data)
    assert guest.run("wc -c < blob; md5sum < /dev/null").text.startswith(str(len(data)))
    assert guest.read("blob") == data
    assert guest.read("blob", offset=256, length=3) == b"\x00\x01\x02"


def test_empty_file_is_written_and_read(guest: Guest) -> None:
    """No chunk at all is a file of no bytes."""
    assert guest.write("empty", b"")["size"] == 0
    assert guest.read("empty") == b""


def test_overwriting_replaces_content_and_owner(guest: Guest) -> None:
    """A shorter file leaves no tail, and root's file becomes the writer's."""
    guest.write("/srv/f", b"long content", user="root")
    entry = guest.write("/srv/f", b"short")
    assert guest.read("/srv/f") == b"short"
    assert entry["owner"] == "user"


def test_files_of_proc_are_readable_though_they_say_size_zero(guest: Guest) -> None:
    """And they show the sandbox, not the host."""
    assert guest.read("/proc/sys/kernel/random/boot_id").decode().strip() == guest.sandbox.boot_id
    assert b"guest.agent" in guest.read("/proc/1/cmdline")


@pytest.mark.parametrize(
    ("op", "params", "code"),
    [
        ("fs.read", {"path": "/no/such"}, "not_found"),
        ("fs.read", {"path": "/etc"}, "invalid_argument"),
        ("fs.write", {"path": "/etc", "data": b"x"}, "invalid_argument"),
        ("fs.write", {"path": "/etc/passwd/x", "data": b"x"}, "invalid_argument"),
        ("fs.stat", {"path": "/no/such"}, "not_found"),
        ("fs.stat", {"path": "/etc/passwd/x"}, "not_found"),
        ("fs.list", {"path": "/no/such"}, "not_found"),
        ("fs.list", {"path": "/etc/passwd"}, "invalid_argument"),
        ("fs.mkdir", {"path": "/etc"}, "already_exists"),
        ("fs.mkdir", {"path": "/etc/passwd"}, "invalid_argument"),
        ("fs.move", {"source": "/no/such", "destination": "x"}, "not_found"),
        ("fs.watch", {"path": "/no/such"}, "not_found"),
        ("fs.watch", {"path": "/etc/passwd"}, "invalid_argument"),
        ("fs.stat", {"path": "~other/x"}, "invalid_argument"),
        ("fs.stat", {"path": "a\0b"}, "invalid_argument"),
        ("fs.stat", {"path": "x", "user": "mallory"}, "unauthenticated"),
        ("fs.write", {"path": "m", "data": b"", "metadata": {"k": "ü"}}, "invalid_argument"),
        ("fs.write", {"path": "m", "data": b"", "metadata": {"": "v"}}, "invalid_argument"),
        ("no.such", {}, "unimplemented"),
        ("process.signal", {}, "not_found"),
    ],
)
def test_refusals_carry_connects_codes(
    guest: Guest, op: str, params: dict[str, Any], code: str
) -> None:
    """What a client may do wrong has its code."""
    assert refused(guest, op, **params) == code


def test_refused_write_says_so_even_while_bytes_come(guest: Guest) -> None:
    """A client that is still sending learns why, instead of losing the connection."""
    assert refused(guest, "fs.write", path="/etc", data=bytes(4 << 20)) == "invalid_argument"


def test_list_goes_as_deep_as_asked_sorted(guest: Guest) -> None:
    """Depth 0 and 1 are one level; entries are depth first and by name."""
    for path in ("d/b/x", "d/a/y/z", "d/c"):
        guest.write(path, b"")

    def names(depth: int) -> list[str]:
        entries = guest.call("fs.list", path="d", depth=depth, user="user")["entries"]
        return [entry["path"].removeprefix("/home/user/d/") for entry in entries]

    assert names(0) == names(1) == ["a", "b", "c"]
    assert names(2) == ["a", "a/y", "b", "b/x", "c"]
    assert names(9) == ["a", "a/y", "a/y/z", "b", "b/x", "c"]


def test_symlink_is_typed_by_its_target(guest: Guest) -> None:
    """The entry names the resolved target; a dangling or circular link is neither file nor dir."""
    guest.write("real/file", b"x")
    guest.run("ln -s real dir; ln -s real/file link; ln -s nowhere gone; ln -s loop loop")
    stat = {
        name: guest.call("fs.stat", path=name, user="user")["entry"]
        for name in ("dir", "link", "gone", "loop")
    }
    assert (stat["dir"]["type"], stat["dir"]["symlink_target"]) == ("dir", "/home/user/real")
    assert (stat["link"]["type"], stat["link"]["symlink_target"]) == (
        "file",
        "/home/user/real/file",
    )
    assert [stat[name]["type"] for name in ("gone", "loop")] == ["other", "other"]
    assert guest.read("dir/file") == b"x"
    assert refused(guest, "fs.list", path="loop") == "failed_precondition"
    listed = guest.call("fs.list", path="dir", depth=1, user="user")["entries"]
    assert [entry["path"] for entry in listed] == ["/home/user/dir/file"]


def test_special_files_and_bits_have_gos_letters(guest: Guest) -> None:
    """Directories, sticky bits and FIFOs read as Go writes them."""
    guest.run("mkfifo pipe; mkdir dir; chmod 1777 dir; touch s; chmod 4755 s")
    permissions = {
        name: guest.call("fs.stat", path=name, user="user")["entry"]["permissions"]
        for name in ("pipe", "dir", "s", "/dev/null")
    }
    assert permissions == {
        "pipe": "prw-r--r--",
        "dir": "dtrwxrwxrwx",
        "s": "urwxr-xr-x",
        "/dev/null": "Dcrw-rw-rw-",
    }
    assert guest.read("pipe") == b""


def test_make_move_and_remove(guest: Guest) -> None:
    """Directories with parents, moves into new places, and removal of whole trees."""
    entry = guest.call("fs.mkdir", path="n/e/w", user="user")["entry"]
    assert (entry["type"], entry["permissions"], entry["owner"]) == ("dir", "drwxr-xr-x", "user")
    assert entry["size"] > 0
    guest.write("n/e/w/f", b"1")
    moved = guest.call("fs.move", source="n", destination="other/place", user="user")["entry"]
    assert moved["path"] == "/home/user/other/place"
    assert guest.read("other/place/e/w/f") == b"1"
    guest.call("fs.remove", path="other", user="user")
    guest.call("fs.remove", path="other", user="user")
    assert refused(guest, "fs.stat", path="other") == "not_found"


def test_removal_does_not_follow_symlinks(guest: Guest) -> None:
    """A link in a removed tree goes, what it points to stays."""
    guest.write("keep/me", b"1")
    guest.run("mkdir gone; ln -s ../keep gone/link; ln -s keep top")
    guest.call("fs.remove", path="gone", user="user")
    guest.call("fs.remove", path="top", user="user")
    assert guest.read("keep/me") == b"1"


def test_metadata_is_kept_in_attributes_and_replaced_by_each_write(guest: Guest) -> None:
    """Stored as user.e2b.*, seen by stat, list and move, also when set inside the sandbox."""
    entry = guest.write("m", b"1", metadata={"who": "me", "what": "x"})
    assert entry["metadata"] == {"who": "me", "what": "x"}
    assert (
        guest.call("fs.list", path=".", depth=1, user="user")["entries"][0]["metadata"]
        == (entry["metadata"])
    )
    moved = guest.call("fs.move", source="m", destination="n", user="user")["entry"]
    assert moved["metadata"] == entry["metadata"]
    guest.run("""python3 -c 'import os; os.setxattr("n", "user.e2b.in", b"side")'""")
    assert guest.call("fs.stat", path="n", user="user")["entry"]["metadata"]["in"] == "side"
    assert "metadata" not in guest.write("n", b"2")


def test_names_that_are_no_text_survive(guest: Guest) -> None:
    """A file name with bytes outside UTF-8 can be listed, read and removed."""
    guest.run("printf data > $(printf 'caf\\xe9')")
    name = guest.call("fs.list", path=".", depth=1, user="user")["entries"][0]["name"]
    assert os.fsencode(name) == b"caf\xe9"
    assert guest.read(name) == b"data"


def test_full_disk_is_resource_exhausted(guest: Guest) -> None:
    """/dev/full answers as a full disk does."""
    assert refused(guest, "fs.write", path="/dev/full", data=b"x") == "resource_exhausted"
