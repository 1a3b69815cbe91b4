"""Watching directories."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from guest_lab import Guest


def watched(
    guest: Guest, path: str, change: Callable[[], Any], *, recursive: bool = False, **params: Any
) -> list[tuple[str, str]]:
    """The events that a change causes, as type and name; asked for at once afterwards."""
    return [
        (e["type"], e["name"])
        for e in _events(guest, path, change, recursive=recursive, params=params)
    ]


def _events(
    guest: Guest,
    path: str,
    change: Callable[[], Any],
    *,
    recursive: bool = False,
    params: dict[str, Any],
) -> list[dict[str, Any]]:
    wanted = {"path": path, "user": "user", "recursive": recursive, **params}
    context = guest.sandbox.stream("fs.watch", **wanted)
    stream = guest.lab.do(context.__aenter__)
    try:
        assert guest.lab.do(lambda: anext(stream)) == {"event": "started"}
        change()
        events = []

        async def drain() -> None:
            await stream.send(b"catch up")
            async for event in stream:
                assert isinstance(event, dict)
                if event["event"] == "drained":
                    return
                events.append(event)

        guest.lab.do(drain)
        return events
    finally:
        guest.lab.do(lambda: context.__aexit__(None, None, None))


def test_new_file_is_three_events_and_a_known_one_fewer(guest: Guest) -> None:
    """CREATE, CHMOD, WRITE, the name relative to the directory; available at once."""
    assert watched(guest, ".", lambda: guest.write("new", b"1")) == [
        ("CREATE", "new"),
        ("CHMOD", "new"),
        ("WRITE", "new"),
    ]
    again = watched(guest, ".", lambda: guest.write("new", b"2"))
    assert {kind for kind, _ in again} == {"CHMOD", "WRITE"}


def test_nothing_happens_nothing_is_told(guest: Guest) -> None:
    """The control: no change, no event."""
    assert watched(guest, ".", lambda: guest.read("/etc/passwd")) == []


def test_rename_and_removal(guest: Guest) -> None:
    """A rename is the old name's RENAME and the new one's CREATE."""
    guest.write("old", b"1")

    def change() -> None:
        guest.call("fs.move", source="old", destination="new", user="user")
        guest.call("fs.remove", path="new", user="user")

    assert watched(guest, ".", change) == [("RENAME", "old"), ("CREATE", "new"), ("REMOVE", "new")]


def test_subdirectories_count_only_when_recursive(guest: Guest) -> None:
    """A file in a directory below is told with its path, or not at all."""
    guest.write("d/sub/first", b"1")
    assert watched(guest, "d", lambda: guest.write("d/sub/f", b"1")) == []
    events = watched(guest, "d", lambda: guest.write("d/sub/g", b"1"), recursive=True)
    assert events == [("CREATE", "sub/g"), ("CHMOD", "sub/g"), ("WRITE", "sub/g")]


def test_new_subdirectories_are_watched_with_what_is_in_them(guest: Guest) -> None:
    """Files that were there before the watch on their directory are told as created."""

    def change() -> None:
        guest.run("mkdir -p tmp/x/y; echo 1 > tmp/x/y/early; mv tmp/x .")
        guest.write("x/y/late", b"1")

    events = watched(guest, ".", change, recursive=True)
    names = [name for kind, name in events if kind == "CREATE"]
    assert {"x", "x/y", "x/y/early", "x/y/late"} - set(names) <= {"x/y", "x/y/early"}
    assert ("WRITE", "x/y/late") in events


def test_moved_directory_keeps_being_watched_under_its_new_name(guest: Guest) -> None:
    """After a rename inside the tree, changes carry the new path."""
    guest.write("w/a/f", b"1")

    def change() -> None:
        guest.call("fs.move", source="w/a", destination="w/b", user="user")
        guest.run("echo 2 >> w/b/f")

    assert watched(guest, "w", change, recursive=True) == [
        ("RENAME", "a"),
        ("CREATE", "b"),
        ("WRITE", "b/f"),
    ]


def test_entry_comes_along_when_asked_for(guest: Guest) -> None:
    """Events of what exists carry its entry; those of what is gone do not."""

    def change() -> None:
        guest.write("f", b"12345")
        guest.run("rm f")

    events = _events(guest, ".", change, recursive=False, params={"include_entry": True})
    assert "entry" not in events[-1]
    guest.write("g", b"")
    events = _events(
        guest,
        ".",
        lambda: guest.write("g", b"12345"),
        recursive=False,
        params={"include_entry": True},
    )
    assert {event["entry"]["path"] for event in events} == {"/home/user/g"}


def test_removed_root_is_told(guest: Guest) -> None:
    """The watched directory's own end is a REMOVE of itself."""
    guest.run("mkdir gone")
    assert ("REMOVE", ".") in watched(guest, "gone", lambda: guest.run("rmdir gone"))
