"""The content of one volume, read and written from the host without leaving its folder.

A sandbox that has the volume mounted may put symlinks into it. Every step is therefore
taken from an open directory, and no symlink is followed.

Differs: a path through a symlink is not found. Where sandboxes have one user id, owners
that a request asks for are not kept.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from harness.emulator.isolation.user_ids import FIRST_UID, can_map_range

__all__ = ["Owner", "VolumeEntry", "VolumeFiles"]

_USER_ID = 1000
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_KINDS = ((stat.S_ISREG, "file"), (stat.S_ISDIR, "directory"), (stat.S_ISLNK, "symlink"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose something becomes, and what may be done with it; None leaves it as it is."""

    uid: int | None = None
    gid: int | None = None
    mode: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeEntry:
    """One file, folder or link.

    Attributes:
        path: absolute, the volume's own folder is /.
        type: "file", "directory", "symlink" or "unknown".
        size_bytes: as the file system counts.
        mode: permission bits.
        uid: as sandboxes see it.
        gid: as sandboxes see it.
        accessed: last read.
        modified: last change of the content.
        changed: last change of anything.
        target: where a link points.
    """

    path: str
    type: str
    size_bytes: int
    mode: int
    uid: int
    gid: int
    accessed: datetime
    modified: datetime
    changed: datetime
    target: str | None = None


class VolumeFiles:
    """Reads and writes one volume.

    Paths are absolute or relative to the volume's folder, without "..".

    Args:
        root: the host's folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._first_id = FIRST_UID if can_map_range() else None

    def create(self) -> None:
        """Makes the folder; it belongs to the sandboxes' user."""
        self.root.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.root.mkdir(mode=0o755)
        if self._first_id is not None:
            os.chown(self.root, self._first_id + _USER_ID, self._first_id + _USER_ID)

    def stat(self, path: str) -> VolumeEntry:
        """One entry; a link is itself, not what it points to.

        Raises:
            FileNotFoundError: nothing is there.
        """
        with self._parent(path) as (folder, name):
            return self._entry(folder, name, _shown(path))

    def walk(self, path: str, depth: int) -> list[VolumeEntry]:
        """What is in a folder, so many levels deep, each level sorted by name.

        Raises:
            FileNotFoundError: nothing is there.
            NotADirectoryError: it is no folder.
        """
        with self._folder(path) as folder:
            return [*self._below(folder, _shown(path), depth)]

    def make_dir(self, path: str, owner: Owner, *, parents: bool) -> VolumeEntry:
        """Makes a folder.

        Args:
            path: the folder.
            owner: whose it becomes.
            parents: whether folders above are made, too; one that is there is then fine.

        Raises:
            FileExistsError: something is there already.
            FileNotFoundError: the folder above is missing.
        """
        with self._parent(path, make=parents) as (folder, name):
            try:
                os.mkdir(name, 0o755, dir_fd=folder)
            except FileExistsError:
                found = self._entry(folder, name, _shown(path))
                if not parents or found.type != "directory":
                    raise
                return found
            self._give(folder, name, owner, default_mode=0o755)
            return self._entry(folder, name, _shown(path))

    @contextmanager
    def writing(self, path: str, owner: Owner, *, parents: bool) -> Iterator[BinaryIO]:
        """A new content for a file, in place of the old one once the block has ended well.

        Raises:
            FileNotFoundError: the folder above is missing.
            IsADirectoryError: a folder is there.
        """
        with self._parent(path, make=parents) as (folder, name):
            if _is_folder(folder, name):
                raise IsADirectoryError(path)
            draft = f".{name[:100]}.{os.urandom(6).hex()}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            handle = os.open(draft, flags, 0o644, dir_fd=folder)
            try:
                with os.fdopen(handle, "wb") as file:
                    yield file
                self._give(folder, draft, owner, default_mode=0o644)
                os.replace(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                os.unlink(draft, dir_fd=folder)
                raise

    def open(self, path: str) -> BinaryIO:
        """A file's content.

        Raises:
            FileNotFoundError: no file is there.
            IsADirectoryError: a folder is there.
        """
        with self._parent(path) as (folder, name):
            if _is_folder(folder, name):
                raise IsADirectoryError(path)
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode):
                raise FileNotFoundError(path)
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            return os.fdopen(os.open(name, flags, dir_fd=folder), "rb")

    def update(self, path: str, owner: Owner) -> VolumeEntry:
        """Changes whose an entry is, and its permission bits.

        Raises:
            FileNotFoundError: nothing is there.
        """
        with self._parent(path) as (folder, name):
            self._entry(folder, name, path)
            self._give(folder, name, owner)
            return self._entry(folder, name, _shown(path))

    def remove(self, path: str) -> None:
        """Removes a file, a link, or a folder with all that is in it.

        Raises:
            FileNotFoundError: nothing is there.
            PermissionError: it is the volume itself.
        """
        if not _parts(path):
            raise PermissionError(path)
        with self._parent(path) as (folder, name):
            if _is_folder(folder, name):
                shutil.rmtree(name, dir_fd=folder)
            else:
                os.unlink(name, dir_fd=folder)

    @contextmanager
    def _folder(self, path: str, *, make: bool = False) -> Iterator[int]:
        """A descriptor of a folder."""
        current = os.open(self.root, _FOLDER)
        try:
            for part in _parts(path):
                if make and not _exists(current, part):
                    os.mkdir(part, 0o755, dir_fd=current)
                    self._give(current, part, Owner(), default_mode=0o755)
                try:
                    deeper = os.open(part, _FOLDER, dir_fd=current)
                except OSError as error:
                    if _is_link(current, part):
                        raise FileNotFoundError(path) from error
                    raise
                os.close(current)
                current = deeper
            yield current
        finally:
            os.close(current)

    @contextmanager
    def _parent(self, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """The folder that an entry is in, and its name there; "." for the volume itself."""
        *above, name = _parts(path) or ["."]
        try:
            with self._folder("/".join(above), make=make) as folder:
                yield folder, name
        except NotADirectoryError as error:
            raise FileNotFoundError(path) from error

    def _below(self, folder: int, shown: str, depth: int) -> Iterator[VolumeEntry]:
        for name in sorted(os.listdir(folder)):
            entry = self._entry(folder, name, f"{shown.rstrip('/')}/{name}")
            yield entry
            if depth > 1 and entry.type == "directory":
                deeper = os.open(name, _FOLDER, dir_fd=folder)
                try:
                    yield from self._below(deeper, entry.path, depth - 1)
                finally:
                    os.close(deeper)

    def _entry(self, folder: int, name: str, shown: str) -> VolumeEntry:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        kind = next((word for is_kind, word in _KINDS if is_kind(status.st_mode)), "unknown")
        return VolumeEntry(
            path=shown,
            type=kind,
            size_bytes=status.st_size,
            mode=stat.S_IMODE(status.st_mode),
            uid=self._id_inside(status.st_uid),
            gid=self._id_inside(status.st_gid),
            accessed=datetime.fromtimestamp(status.st_atime, UTC),
            modified=datetime.fromtimestamp(status.st_mtime, UTC),
            changed=datetime.fromtimestamp(status.st_ctime, UTC),
            target=os.readlink(name, dir_fd=folder) if kind == "symlink" else None,
        )

    def _id_inside(self, number: int) -> int:
        return _USER_ID if self._first_id is None else number - self._first_id

    def _give(
        self, folder: int, name: str, owner: Owner, *, default_mode: int | None = None
    ) -> None:
        """Owner and bits; what is new belongs to the sandboxes' user unless asked otherwise."""
        if self._first_id is not None:
            default = None if default_mode is None else _USER_ID
            ids = [default if wanted is None else wanted for wanted in (owner.uid, owner.gid)]
            uid, gid = (-1 if number is None else self._first_id + number for number in ids)
            os.chown(name, uid, gid, dir_fd=folder, follow_symlinks=False)
        mode = default_mode if owner.mode is None else owner.mode
        if mode is not None and not _is_link(folder, name):
            os.chmod(name, mode & 0o777, dir_fd=folder)


def _parts(path: str) -> list[str]:
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if ".." in parts or "\0" in path:
        raise FileNotFoundError(path)
    return parts


def _shown(path: str) -> str:
    return "/" + "/".join(_parts(path))


def _exists(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _is_link(folder: int, name: str) -> bool:
    return _exists(folder, name) and stat.S_ISLNK(
        os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    )


def _is_folder(folder: int, name: str) -> bool:
    return _exists(folder, name) and stat.S_ISDIR(
        os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    )
