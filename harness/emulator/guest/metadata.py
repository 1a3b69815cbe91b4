"""User-defined metadata of files: extended attributes `user.e2b.*`.

Where a file system has none, the agent remembers them itself.

Source: e2b-dev/infra packages/shared/pkg/filesystem/xattr.go
"""

from __future__ import annotations

import errno
import os

from .frames import Fault

__all__ = ["Metadata", "validate"]

_PREFIX = "user.e2b."
_MAX_KEY = 255 - len(_PREFIX)
_MAX_TOTAL = 4096
_UNSUPPORTED = {errno.ENOTSUP, errno.EOPNOTSUPP}


def validate(metadata: dict[str, str]) -> None:
    """Checks what the client wants to store.

    Raises:
        Fault: `invalid_argument`, naming the key that does not fit.
    """
    total = 0
    for key, value in metadata.items():
        if not key or len(key) > _MAX_KEY:
            raise Fault("invalid_argument", f"metadata key {key!r} must have 1 to {_MAX_KEY} bytes")
        for text in (key, value):
            if any(not " " <= character <= "~" for character in text):
                raise Fault("invalid_argument", f"metadata {key!r} is not printable ASCII")
        total += len(_PREFIX) + len(key) + len(value)
    if total > _MAX_TOTAL:
        raise Fault("invalid_argument", f"metadata of {total} bytes exceeds {_MAX_TOTAL}")


class Metadata:
    """Reads and replaces the metadata of files."""

    def __init__(self) -> None:
        self._remembered: dict[tuple[int, int], dict[str, str]] = {}

    def read(self, path: str) -> dict[str, str]:
        """What is stored on the file (of a symlink: its target); unreadable values are left out."""
        found = {}
        try:
            for name in os.listxattr(path):
                if name.startswith(_PREFIX):
                    found[name[len(_PREFIX) :]] = os.getxattr(path, name).decode("utf-8")
        except UnicodeDecodeError:
            return found
        except OSError as error:
            return self._recall(path) if error.errno in _UNSUPPORTED else found
        return found

    def replace(self, fd: int, metadata: dict[str, str]) -> None:
        """Stores exactly these on an open file.

        Raises:
            OSError: the disk is full, or the file system refused.
        """
        try:
            for name in os.listxattr(fd):
                if name.startswith(_PREFIX) and name[len(_PREFIX) :] not in metadata:
                    os.removexattr(fd, name)
            for key, value in metadata.items():
                os.setxattr(fd, _PREFIX + key, value.encode("ascii"))
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            status = os.fstat(fd)
            self._remembered[status.st_dev, status.st_ino] = dict(metadata)

    def _recall(self, path: str) -> dict[str, str]:
        try:
            status = os.stat(path)
        except OSError:
            return {}
        return dict(self._remembered.get((status.st_dev, status.st_ino), {}))
