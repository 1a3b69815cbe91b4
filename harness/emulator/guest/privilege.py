"""The agent's side of `sudo`: runs a command as another user, for those who may ask."""

from __future__ import annotations

import array
import contextlib
import grp
import json
import os
import pwd
import signal
import socket
import struct
import threading

from .accounts import Account, Accounts
from .frames import Fault
from .processes import Child, ProcessTable
from .spawn import spawn

TYPE_CHECKING = False  # typing's own costs every start of an agent its import
if TYPE_CHECKING:
    from .frames import Json

__all__ = ["PrivilegeService"]

_LENGTH = struct.Struct(">I")
_CREDENTIALS = struct.Struct("3i")
_KEPT = ("TERM", "COLORTERM", "LANG", "LANGUAGE", "LS_COLORS", "DISPLAY", "XAUTHORITY")
_GROUP = "sudo"


class PrivilegeService:
    """Serves `sudo` programs.

    Args:
        accounts: the sandbox's users.
        table: where the commands are reaped.
        path: the PATH of commands.
        processes: the limit of each user's processes.
    """

    def __init__(
        self, accounts: Accounts, table: ProcessTable, *, path: str, processes: int
    ) -> None:
        self._accounts = accounts
        self._table = table
        self._path = path
        self._processes = processes

    def serve(self, descriptor: int) -> None:
        """Answers the program at the other end of a connection; closes that."""
        connection = socket.socket(fileno=descriptor)
        with connection, contextlib.suppress(OSError, ValueError, KeyError):
            answer = self._run(connection)
            connection.sendall(json.dumps(answer).encode())
            connection.shutdown(socket.SHUT_RDWR)  # a plain close would wait for our other thread

    def _run(self, connection: socket.socket) -> Json:
        request, fds = _receive(connection)
        try:
            caller = self._caller(connection)
            target = self._accounts.find(request["user"])
            child = self._spawn(request, caller, target, fds)
        except Fault as fault:
            return {"error": fault.message}
        except KeyError:
            return {"error": "a user that the sandbox does not know may not run sudo"}
        finally:
            for fd in fds:
                os.close(fd)
        watcher = threading.Thread(target=self._forward, args=(connection, child), daemon=True)
        watcher.start()
        child.exited.wait()
        status = child.status
        if os.WIFSIGNALED(status):
            return {"code": 128 + os.WTERMSIG(status), "signal": os.WTERMSIG(status)}
        return {"code": os.WEXITSTATUS(status), "signal": 0}

    def _caller(self, connection: socket.socket) -> str:
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _, uid, gid = _CREDENTIALS.unpack(raw)
        entry = pwd.getpwuid(uid)
        allowed = grp.getgrnam(_GROUP)
        if uid and entry.pw_name not in allowed.gr_mem and gid != allowed.gr_gid:
            raise Fault("permission_denied", f"{entry.pw_name} is not in the sudoers file.")
        # With one user id for all, everybody but the agent itself looks like root here.
        return entry.pw_name

    def _spawn(self, request: Json, caller: str, target: Account, fds: list[int]) -> Child:
        shell = "/bin/bash"
        argv = request["argv"]
        if request["shell"]:
            words = " ".join(_quoted(word) for word in argv)
            login = ["-l"] if request["shell"] == "i" else []
            argv = [shell, *login, *(["-c", words] if argv else [])]
        cwd = target.home if request["shell"] == "i" else request["cwd"]
        child = Child()
        self._table.add(
            child,
            lambda: spawn(
                argv,
                env=self._environment(request, caller, target, shell),
                cwd=cwd,
                account=target,
                stdio=(fds[0], fds[1], fds[2]),
                processes=self._processes,
            ),
        )
        return child

    def _environment(
        self, request: Json, caller: str, target: Account, shell: str
    ) -> dict[str, str]:
        theirs = request["envs"]
        names = {*_KEPT, *request["keep"], *(name for name in theirs if name.startswith("LC_"))}
        entry = pwd.getpwnam(caller)
        return {
            **{name: theirs[name] for name in names if name in theirs},
            "PATH": self._path,
            "HOME": target.home,
            "USER": target.name,
            "LOGNAME": target.name,
            "SHELL": shell,
            "SUDO_USER": caller,
            "SUDO_UID": str(entry.pw_uid),
            "SUDO_GID": str(entry.pw_gid),
            "SUDO_COMMAND": " ".join(request["argv"]) or shell,
            **{name: theirs[name] for name in request["set"]},
        }

    def _forward(self, connection: socket.socket, child: Child) -> None:
        while True:
            try:
                numbers = connection.recv(64)
            except OSError:
                numbers = b""
            if child.exited.is_set():
                return
            # A sudo that was killed takes its command along.
            for number in numbers or bytes([signal.SIGKILL]):
                self._table.signal_group(child, number)
            if not numbers:
                return


def _receive(connection: socket.socket) -> tuple[Json, list[int]]:
    fds = array.array("i")
    space = socket.CMSG_SPACE(3 * fds.itemsize)
    head, ancillary, _, _ = connection.recvmsg(_LENGTH.size, space)
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    payload = b""
    length = _LENGTH.unpack(head)[0]
    while len(payload) < length:
        piece = connection.recv(length - len(payload))
        if not piece:
            raise ValueError("the sudo program went away")
        payload += piece
    if len(fds) != 3:  # noqa: PLR2004 - stdin, stdout, stderr
        raise ValueError("three descriptors were expected")
    return json.loads(payload), list(fds)


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"
