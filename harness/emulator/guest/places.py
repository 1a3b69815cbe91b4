"""Paths: from what a client writes to what the kernel is asked, and back.

Inside namespaces both are the same. Without them (isolation "process") the folders of
the sandbox's users lie somewhere else, and this is the only place that knows where.
"""

from __future__ import annotations

import os

from .accounts import Account
from .frames import Fault

__all__ = ["Places"]


class Places:
    """Translates paths.

    Args:
        moved: where a folder of the sandbox really is, by its name inside; empty in namespaces.
    """

    def __init__(self, moved: dict[str, str]) -> None:
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

    def rewrite(self, text: str) -> str:
        """Free text, such as a shell command, with the folders' names replaced."""
        for shown, real in self._inwards:
            text = text.replace(shown, real)
        return text


def _swap(path: str, pairs: list[tuple[str, str]]) -> str:
    for old, new in pairs:
        if path == old or path.startswith(old + "/"):
            return new + path[len(old) :]
    return path
