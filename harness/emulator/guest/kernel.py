"""The few system calls that Python of 3.9 has no name for.

Imported only where one is needed: ctypes costs a starting agent time and memory.
"""

from __future__ import annotations

import ctypes
import os
import struct

__all__ = [
    "add_watch",
    "adopt_orphans",
    "enter_user_namespace",
    "ignore_chown",
    "new_user_namespace",
    "open_inotify",
    "remove_watch",
]

_CLONE_NEWUSER = 0x10000000
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_RET_ALLOW, _RET_ERRNO_0 = 0x7FFF0000, 0x00050000
_LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_CHOWN_CALLS = {  # of each machine: its name in seccomp, and chown, fchown, lchown, fchownat
    "x86_64": (0xC000003E, (92, 93, 94, 260)),
    "aarch64": (0xC00000B7, (55, 54)),
}

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


def ignore_chown() -> None:
    """From here on every chown of this process and its children does nothing, successfully.

    For a root that has no second id to give files to: archives and package managers
    would fail on the first file otherwise.
    """
    if os.uname().machine not in _CHOWN_CALLS:
        return
    machine, calls = _CHOWN_CALLS[os.uname().machine]
    last = len(calls) + 1
    steps = [(_LOAD_WORD, 0, 0, 4), (_JUMP_IF_EQUAL, 0, last, machine), (_LOAD_WORD, 0, 0, 0)]
    steps += [(_JUMP_IF_EQUAL, last - place, 0, call) for place, call in enumerate(calls, 1)]
    steps += [(_RETURN, 0, 0, _RET_ALLOW), (_RETURN, 0, 0, _RET_ERRNO_0)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(code))
    _check(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program, 0, 0))


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
