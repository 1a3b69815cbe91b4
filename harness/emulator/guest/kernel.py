"""The few system calls that Python of 3.9 has no name for.

Imported only where one is needed: ctypes costs a starting agent time and memory.
"""

from __future__ import annotations

import ctypes
import os

__all__ = [
    "add_watch",
    "adopt_orphans",
    "enter_user_namespace",
    "new_user_namespace",
    "open_inotify",
    "remove_watch",
]

_CLONE_NEWUSER = 0x10000000
_PR_SET_CHILD_SUBREAPER = 36

_libc = ctypes.CDLL(None, use_errno=True)


def new_user_namespace() -> None:
    """Moves this process, which has one thread, into a user namespace of its own."""
    _check(_libc.unshare(_CLONE_NEWUSER))


def enter_user_namespace(fd: int) -> None:
    """Moves this process, which has one thread, into the user namespace of `fd`."""
    _check(_libc.setns(fd, _CLONE_NEWUSER))


def adopt_orphans() -> None:
    """Makes this process the parent of every orphan below it."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))


def open_inotify() -> int:
    """A descriptor that reports changes of files; it does not block."""
    return _check(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))


def add_watch(fd: int, path: str, mask: int) -> int:
    """Adds a path to an inotify descriptor; the number that its events carry."""
    return _check(_libc.inotify_add_watch(fd, os.fsencode(path), ctypes.c_uint32(mask)))


def remove_watch(fd: int, watch: int) -> None:
    """Takes a path out again; one that the kernel dropped already is fine."""
    _libc.inotify_rm_watch(fd, watch)


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
