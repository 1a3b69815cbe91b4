"""Watches a directory with inotify and tells its changes in fsnotify's words.

Source: e2b-dev/infra packages/envd/internal/services/filesystem/watch.go
"""

from __future__ import annotations

import os
import select
import stat
import struct

from .frames import Channel, HangUp
from .kernel import add_watch, open_inotify, remove_watch

TYPE_CHECKING = False  # typing's own costs every start of an agent its import
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .frames import Json

    Change = tuple[str, str]

__all__ = ["watch"]

_IN_MODIFY = 0x2
_IN_ATTRIB = 0x4
_IN_MOVED_FROM = 0x40
_IN_MOVED_TO = 0x80
_IN_CREATE = 0x100
_IN_DELETE = 0x200
_IN_DELETE_SELF = 0x400
_IN_MOVE_SELF = 0x800
_IN_Q_OVERFLOW = 0x4000
_IN_IGNORED = 0x8000
_IN_ISDIR = 0x40000000
_MASK = (
    _IN_MODIFY
    | _IN_ATTRIB
    | _IN_MOVED_FROM
    | _IN_MOVED_TO
    | _IN_CREATE
    | _IN_DELETE
    | _IN_DELETE_SELF
    | _IN_MOVE_SELF
)
_TYPES = (
    (_IN_CREATE | _IN_MOVED_TO, "CREATE"),
    (_IN_MOVE_SELF | _IN_MOVED_FROM, "RENAME"),
    (_IN_ATTRIB, "CHMOD"),
    (_IN_MODIFY, "WRITE"),
    (_IN_DELETE | _IN_DELETE_SELF, "REMOVE"),
)
_KINDS_WITH_ENTRY = {"CREATE", "WRITE", "CHMOD"}
_RECORD = struct.Struct("iIII")
_READ_BYTES = 64 * 1024


def watch(
    channel: Channel, root: str, describe: Callable[[str], Json | None], *, recursive: bool
) -> None:
    """Sends `started`, then each change, until the server hangs up.

    A `B` frame from the server asks to catch up: what has happened so far is sent, then
    the event `drained`.

    Args:
        channel: the call.
        root: the directory.
        describe: makes the entry of a changed name, or None where none is wanted.
        recursive: whether directories below are watched, also new ones.
    """
    tree = _Tree(root, recursive=recursive)
    try:
        channel.event({"event": "started"})
        poller = select.poll()
        poller.register(tree.fd, select.POLLIN)
        poller.register(channel.connection, select.POLLIN)
        while True:
            asked = channel.connection.fileno() in [fd for fd, _ in poller.poll()]
            if asked:
                channel.receive()
            for kind, name in tree.changes():
                event = {"event": "fs", "type": kind, "name": name}
                entry = describe(name) if kind in _KINDS_WITH_ENTRY else None
                channel.event({**event, "entry": entry} if entry else event)
            if asked:
                channel.event({"event": "drained"})
    except HangUp:
        return
    finally:
        os.close(tree.fd)


class _Tree:
    """The watched directories, by the numbers that inotify gave them."""

    def __init__(self, root: str, *, recursive: bool) -> None:
        self.fd = open_inotify()
        self._root = root
        self._recursive = recursive
        self._names: dict[int, str] = {}
        self._moving: dict[int, str] = {}
        try:
            self._add("")
        except OSError:
            os.close(self.fd)
            raise

    def changes(self) -> Iterator[Change]:
        """What happened since the last call, as types and names relative to the root."""
        while True:
            try:
                buffer = os.read(self.fd, _READ_BYTES)
            except BlockingIOError:
                return
            offset = 0
            while offset < len(buffer):
                number, mask, cookie, length = _RECORD.unpack_from(buffer, offset)
                offset += _RECORD.size + length
                name = os.fsdecode(buffer[offset - length : offset].rstrip(b"\0"))
                yield from self._change(number, mask, cookie, name)

    def _change(self, number: int, mask: int, cookie: int, name: str) -> Iterator[Change]:
        if mask & _IN_Q_OVERFLOW:
            raise OSError("the kernel dropped file events: the client reads too slowly")
        folder = self._names.get(number)
        if mask & _IN_IGNORED:
            self._names.pop(number, None)
            return
        # Of a directory below the root, its parent's watch tells the same already.
        if folder is None or (folder and mask & (_IN_DELETE_SELF | _IN_MOVE_SELF)):
            return
        if folder and not name:
            return
        relative = os.path.join(folder, name) if name else (folder or ".")
        for bits, kind in _TYPES:
            if mask & bits:
                yield kind, relative
        if self._recursive and mask & _IN_ISDIR and name:
            yield from self._follow_directory(relative, mask, cookie)

    def _follow_directory(self, relative: str, mask: int, cookie: int) -> Iterator[Change]:
        if mask & _IN_MOVED_FROM:
            self._moving[cookie] = relative
        elif mask & _IN_MOVED_TO and cookie in self._moving:
            was_watched = self._rename(self._moving.pop(cookie), relative)
            inside = self._add(relative)
            if not was_watched:  # it was moved on before its watch was made
                for found in inside:
                    yield "CREATE", found
        elif mask & (_IN_CREATE | _IN_MOVED_TO):
            for found in self._add(relative):
                yield "CREATE", found
        elif mask & _IN_DELETE:
            self._forget(relative)

    def _rename(self, old: str, new: str) -> bool:
        """Tells later changes under the new name; whether the directory was watched at all."""
        renamed = False
        for number, known in list(self._names.items()):
            if known == old or known.startswith(old + "/"):
                self._names[number] = new + known[len(old) :]
                renamed = True
        return renamed

    def _add(self, relative: str) -> list[str]:
        """Watches a directory, and below; the names that were in it before."""
        path = os.path.join(self._root, relative) if relative else self._root
        try:
            self._names[add_watch(self.fd, path, _MASK)] = relative
        except (FileNotFoundError, NotADirectoryError):
            if not relative:
                raise
            return []
        if not self._recursive:
            return []
        found = []
        for name in sorted(os.listdir(path)):
            child = os.path.join(relative, name)
            found.append(child)
            try:
                is_directory = stat.S_ISDIR(os.lstat(os.path.join(path, name)).st_mode)
            except FileNotFoundError:
                continue
            if is_directory:
                found += self._add(child)
        return found

    def _forget(self, relative: str) -> None:
        for number, known in list(self._names.items()):
            if known == relative:
                del self._names[number]
                remove_watch(self.fd, number)
