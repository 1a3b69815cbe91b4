"""Who commands run as: the sandbox's users, and how a child process becomes one."""

from __future__ import annotations

import grp
import os
import pwd

from .frames import Fault
from .lean import suppress

__all__ = ["Account", "Accounts"]

_ROOT = 0


class Account:
    """A user of the sandbox."""

    __slots__ = ("gid", "groups", "home", "name", "namespace_fd", "sham_chown", "switch", "uid")

    def __init__(self, name: str, uid: int, gid: int, home: str) -> None:
        self.name = name
        self.uid = uid
        self.gid = gid
        self.home = home
        self.groups: list[int] = [gid]
        self.switch = True
        self.sham_chown = False
        self.namespace_fd = -1

    def become(self) -> None:
        """Turns the calling process (a fresh child, one thread) into this user."""
        if self.sham_chown:
            from .kernel import ignore_chown  # noqa: PLC0415 - loaded by Accounts before

            ignore_chown()
        if not self.switch:
            return
        if self.namespace_fd >= 0:
            from .kernel import enter_user_namespace  # noqa: PLC0415 - loaded by Accounts before

            enter_user_namespace(self.namespace_fd)
            os.setresgid(self.gid, self.gid, self.gid)
            os.setresuid(self.uid, self.uid, self.uid)
            return
        os.setgroups(self.groups)
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)


class Accounts:
    """Finds users, and names the owners of files.

    Args:
        mode: "many" where the sandbox has the usual range of user ids, "one" where the
            kernel gives it a single one (then each other user is a nested user namespace
            with the same rights), "none" where there is no namespace at all.
        homes: in mode "none", the home of each user on the host.
    """

    def __init__(self, mode: str, homes: dict[str, str]) -> None:
        self._mode = mode
        self._homes = homes
        self._nested: dict[int, int] = {}

    def find(self, name: str) -> Account:
        """The user of that name.

        Raises:
            Fault: `unauthenticated`, if there is none.
        """
        if self._mode == "none":
            if name not in self._homes:
                raise _unknown(name)
            account = Account(name, os.getuid(), os.getgid(), self._homes[name])
            account.switch = False
            return account
        try:
            entry = pwd.getpwnam(name)
        except (KeyError, ValueError):
            raise _unknown(name) from None
        account = Account(name, entry.pw_uid, entry.pw_gid, entry.pw_dir)
        if self._mode == "one":
            self._share_the_only_uid(account)
        else:
            account.groups = os.getgrouplist(name, entry.pw_gid)
        return account

    def give(self, fd_or_path: int | str, account: Account) -> None:
        """Makes the file the user's, where the sandbox has more than one user id.

        What belongs to the host, such as /dev/null, stays the host's.
        """
        # Also where nothing changes: watchers see the event that E2B's clients expect.
        uid, gid = (account.uid, account.gid) if self._mode == "many" else (-1, os.getegid())
        with suppress(PermissionError):
            os.chown(fd_or_path, uid, gid)

    def owner(self, uid: int, gid: int, viewer: Account) -> tuple[str, str]:
        """The names of a file's user and group, as commands of `viewer` see them."""
        if self._mode == "none":
            return viewer.name, viewer.name
        if self._mode == "one" and uid == _ROOT and viewer.uid != _ROOT:
            uid, gid = viewer.uid, viewer.gid
        try:
            user = pwd.getpwuid(uid).pw_name
        except KeyError:
            user = str(uid)
        try:
            group = grp.getgrgid(gid).gr_name
        except KeyError:
            group = str(gid)
        return user, group

    def _share_the_only_uid(self, account: Account) -> None:
        if account.uid == _ROOT:
            from . import kernel  # noqa: F401, PLC0415 - so that the child need not import it

            account.switch = False
            account.sham_chown = True
            return
        if account.uid not in self._nested:
            self._nested[account.uid] = _nested_namespace(account.uid, account.gid)
        account.namespace_fd = self._nested[account.uid]


def _unknown(name: str) -> Fault:
    return Fault("unauthenticated", f"invalid username: '{name}'")


def _nested_namespace(uid: int, gid: int) -> int:
    """A descriptor of a user namespace whose only user is `uid`, which is our 0 outside."""
    from .kernel import new_user_namespace  # noqa: PLC0415 - ctypes only where it is needed

    ready_read, ready_write = os.pipe()
    done_read, done_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            new_user_namespace()
            os.write(ready_write, b"y")
            os.close(done_write)
            os.read(done_read, 1)
        finally:
            os._exit(0)
    os.close(ready_write)
    try:
        if os.read(ready_read, 1) != b"y":
            raise Fault("internal", "the kernel refused a nested user namespace")
        for name, line in (("uid_map", f"{uid} 0 1"), ("gid_map", f"{gid} 0 1")):
            with open(f"/proc/{pid}/{name}", "w", encoding="ascii") as map_file:
                map_file.write(line)
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        for fd in (ready_read, done_read, done_write):
            os.close(fd)
