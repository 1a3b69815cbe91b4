"""Paths: from what a client writes to what the kernel is asked, and back.

Inside namespaces both are the same. Without them (isolation "process") the folders of
the sandbox's users lie somewhere else, and this is the only place that knows where.
"""

from __future__ import annotations

import os

from .accounts import Account
from .frames import Fault

__all__ = ["Places"]

_HOME = "/home/user"
_HOME_IN_TEXT = r"(?<![\w./-])/home/user(?![\w.-])"
_SHARED = ("/tmp",)  # noqa: S108 - not isolated in that mode, and said so


class Places:
    """Translates paths.

    Args:
        moved: where a folder of the sandbox really is, by its name inside; empty in namespaces.
    """

    def __init__(self, moved: dict[str, str]) -> None:
        self._moved = moved
        self._inwards = sorted(moved.items(), key=lambda item: -len(item[0]))
        self._outwards = sorted(
            ((real, shown) for shown, real in moved.items()), key=lambda item: -len(item[0])
        )

    def absolute(self, path: str, account: Account, default: str | None = None) -> str:
        """The path as the sandbox shows it, absolute and without dots.

        Raises:
            Fault: `invalid_argument`, for another user's home (`~name`) or a NUL.
        """
        path = path or default or ""
        if "\0" in path:
            raise Fault("invalid_argument", "a path cannot hold a NUL character")
        home = self.shown(account.home)
        if path.startswith("~"):
            if path[1:2] not in {"", "/"}:
                raise Fault("invalid_argument", f"cannot expand the home in '{path}'")
            path = home + path[1:]
        return os.path.normpath("/" + os.path.join(home, path).lstrip("/"))

    def real(self, shown: str) -> str:
        """Where the kernel finds it."""
        return _swap(shown, self._inwards)

    def shown(self, real: str) -> str:
        """What the sandbox calls it."""
        return _swap(real, self._outwards)

    def changeable(self, shown: str) -> str:
        """Like `real`, for a path that is about to be changed.

        Raises:
            Fault: `permission_denied`, if that would change the host outside the sandbox.
        """
        if self._moved and not _below(shown, (*self._moved, *_SHARED)):
            message = f"'{shown}' belongs to the host, because this sandbox has no isolation"
            raise Fault("permission_denied", message)
        return self.real(shown)

    def rewrite(self, text: str) -> str:
        """Free text, such as a shell command, with the user's home replaced by the real one."""
        if not self._moved:
            return text
        import re  # noqa: PLC0415 - only without namespaces

        return re.sub(_HOME_IN_TEXT, lambda _: self.real(_HOME), text)


def _below(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(folder + "/") for folder in folders)


def _swap(path: str, pairs: list[tuple[str, str]]) -> str:
    for old, new in pairs:
        if path == old or path.startswith(old + "/"):
            return new + path[len(old) :]
    return path
