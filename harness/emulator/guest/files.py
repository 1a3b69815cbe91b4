"""The file calls. Like E2B's envd the agent acts as root and gives what it makes to the user.

Source: e2b-dev/infra packages/envd/internal/services/filesystem, …/api/upload.go
"""

from __future__ import annotations

import errno
import os
import stat

from .accounts import Account, Accounts
from .entries import Entries
from .frames import CHUNK_BYTES, Channel, Fault
from .metadata import Metadata, validate
from .places import Places

TYPE_CHECKING = False  # typing's own costs every start of an agent its import
if TYPE_CHECKING:
    from .frames import Json

__all__ = ["Files"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Files:
    """Reads and changes the sandbox's files."""

    def __init__(self, accounts: Accounts, places: Places) -> None:
        self._accounts = accounts
        self._places = places
        self._metadata = Metadata()
        self.entries = Entries(accounts, places, self._metadata)

    def stat(self, path: str, account: Account) -> Json:
        """The entry of one file; a symlink is described, with its target."""
        try:
            return self.entries.describe(path, account)
        except (FileNotFoundError, NotADirectoryError):
            raise Fault("not_found", f"file not found: {path}") from None

    def list_below(self, path: str, depth: int, account: Account) -> list[Json]:
        """The entries below a directory, depth first, each level sorted by name."""
        root = self.directory(path)
        found: list[Json] = []
        self._list_into(found, path, root, max(depth, 1), account)
        return found

    def directory(self, path: str) -> str:
        """Where a directory really is, symlinks resolved.

        Raises:
            Fault: `not_found`, `invalid_argument` for a file, `failed_precondition` for a circle.
        """
        real = self._places.real(path)
        try:
            status = os.stat(real)
        except (FileNotFoundError, NotADirectoryError):
            raise Fault("not_found", f"path not found: {path}") from None
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise Fault("failed_precondition", f"cyclic symlink at '{path}'") from None
            raise
        if not stat.S_ISDIR(status.st_mode):
            raise Fault("invalid_argument", f"path is not a directory: {path}")
        return os.path.realpath(real)

    def mkdir(self, path: str, account: Account) -> Json:
        """Makes a directory and its parents, the user's, 0755."""
        try:
            status = os.stat(self._places.real(path))
        except (FileNotFoundError, NotADirectoryError):
            self._ensure_directories(path, account)
            return self.entries.describe(path, account)
        if stat.S_ISDIR(status.st_mode):
            raise Fault("already_exists", f"directory already exists: {path}")
        raise Fault("invalid_argument", f"path already exists but it is not a directory: {path}")

    def move(self, source: str, destination: str, account: Account) -> Json:
        """Renames, with the destination's parents made."""
        self._ensure_directories(os.path.dirname(destination), account)
        try:
            os.rename(self._places.changeable(source), self._places.changeable(destination))
        except FileNotFoundError:
            raise Fault("not_found", f"source file not found: {source}") from None
        return self.entries.describe(destination, account)

    def remove(self, path: str) -> None:
        """Removes a file or a whole tree; a missing one is fine."""
        real = self._places.changeable(path)
        try:
            parent = os.open(os.path.dirname(real), os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return
        try:
            _remove_tree(os.path.basename(real), parent)
        finally:
            os.close(parent)

    def read(
        self, channel: Channel, path: str, account: Account, offset: int, length: int | None
    ) -> None:
        """Sends the entry, then the bytes; sizes are not trusted (files of /proc say 0)."""
        real = self._places.real(path)
        try:
            # Without O_NONBLOCK a FIFO that nobody writes to would hang the call.
            fd = os.open(real, os.O_RDONLY | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError):
            raise Fault("not_found", f"path '{path}' does not exist") from None
        try:
            status = os.fstat(fd)
            if stat.S_ISDIR(status.st_mode):
                raise Fault("invalid_argument", f"path '{path}' is a directory")
            entry = {**self.entries.describe(path, account), "size": status.st_size}
            channel.event({"event": "entry", "entry": entry})
            if offset:
                os.lseek(fd, offset, os.SEEK_SET)
            left = length
            while left is None or left > 0:
                data = os.read(fd, CHUNK_BYTES if left is None else min(CHUNK_BYTES, left))
                if not data:
                    return
                channel.data(data)
                left = None if left is None else left - len(data)
        finally:
            os.close(fd)

    def write(
        self,
        channel: Channel,
        path: str,
        account: Account,
        mode: int | None,
        metadata: dict[str, str],
    ) -> Json:
        """Replaces a file by the bytes that come; its parents are made.

        The order of the system calls is what watchers of E2B see: a new file is created,
        given to its owner once, and written once for each chunk.
        """
        validate(metadata)
        real = self._places.changeable(path)
        self._ensure_directories(os.path.dirname(path), account)
        given = self._give_existing(real, path, account)
        try:
            fd = os.open(real, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            try:
                if not given:
                    self._accounts.give(fd, account)
                for chunk in channel.chunks():
                    _write_all(fd, chunk)
                self._metadata.replace(fd, metadata)
                if mode is not None:
                    os.fchmod(fd, mode)
            finally:
                os.close(fd)
        except OSError as error:
            if error.errno in _FULL:
                raise Fault("resource_exhausted", "not enough disk space available") from None
            raise
        return self.entries.describe(path, account)

    def _give_existing(self, real: str, path: str, account: Account) -> bool:
        try:
            status = os.stat(real)
        except FileNotFoundError:
            return False
        if stat.S_ISDIR(status.st_mode):
            raise Fault("invalid_argument", f"path is a directory: {path}")
        self._accounts.give(real, account)
        return True

    def _ensure_directories(self, path: str, account: Account) -> None:
        made = "/"
        for part in path.strip("/").split("/"):
            made = os.path.join(made, part)
            real = self._places.real(made)
            try:
                if not stat.S_ISDIR(os.stat(real).st_mode):
                    raise Fault("invalid_argument", f"path is a file: {made}")
            except FileNotFoundError:
                try:
                    os.mkdir(self._places.changeable(made), 0o755)
                except FileExistsError:
                    continue
                self._accounts.give(real, account)

    def _list_into(
        self,
        found: list[Json],
        shown: str,
        real: str,
        depth: int,
        account: Account,
    ) -> None:
        for name in sorted(os.listdir(real)):
            child, child_real = os.path.join(shown, name), os.path.join(real, name)
            try:
                entry = self.entries.describe(child, account, real=child_real)
                found.append(entry)
                if depth > 1 and stat.S_ISDIR(os.lstat(child_real).st_mode):
                    self._list_into(found, child, child_real, depth - 1, account)
            except FileNotFoundError:
                continue  # gone since it was listed


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _remove_tree(name: str, parent: int) -> None:
    """Removes by descriptors: a path that is swapped for a symlink meanwhile is not followed."""
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
        try:
            for child in os.listdir(fd):
                _remove_tree(child, fd)
        finally:
            os.close(fd)
        os.rmdir(name, dir_fd=parent)
