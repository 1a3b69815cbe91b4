"""The process that starts sandboxes, signals them and reaps them. It runs as a program.

A process of its own with one thread, because forking and user namespaces need that, and
because every sandbox then ends with the server, however that dies: the launcher sees its
socket close, and bubblewrap's `--die-with-parent` covers the launcher's own death.
Standard library only; it imports nothing of the harness.

It reads one JSON object a line from descriptor `argv[1]` and answers the same way:
`{"start": job}` → `{"id", "pid"}`, later `{"id", "exited": status}`;
`{"id", "signal": number}` signals the sandbox's first process. `launch.Job` describes a job.
`{"zygote": job}` starts one; the sandboxes whose jobs name it are its forks. Where it does not
come up, or ends, bubblewrap makes each of them; its folder's agent.log says why.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import resource
import select
import signal
import socket
import stat
import struct
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

__all__ = ["main"]

_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT = 0x1, 0x2, 0x4, 0x8, 0x20
_MS_BIND, _MS_REC, _MS_SLAVE = 0x1000, 0x4000, 0x80000
_SYS_MOUNT_SETATTR, _MOUNT_ATTR_RDONLY = 442, 0x1
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_LINE_BYTES = 1 << 20
_LISTENER_FD, _INFO_FD, _ARGUMENTS_FD = 10, 11, 12
_STAGE = "/tmp"  # noqa: S108 - a private tmpfs covers it before anything is put there

_libc = ctypes.CDLL(None, use_errno=True)


class Launcher:
    """Every sandbox that was started and is not yet reported as gone."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._unread = b""
        self._children: dict[int, str] = {}
        self._first: dict[str, int] = {}
        self._zygotes: dict[str, Zygote] = {}
        self._asked: dict[str, dict[str, Any]] = {}
        self._doomed: dict[str, int] = {}
        self._poller = select.poll()

    def serve(self) -> None:
        """Works until the server closes its end, and then ends every sandbox."""
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
        self._poller.register(wake_read, select.POLLIN)
        self._poller.register(self._control, select.POLLIN)
        connected = True
        while connected:
            ready = {fd for fd, _ in self._poller.poll()}
            if wake_read in ready:
                os.read(wake_read, 4096)
            self._hear_zygotes()
            self._reap()
            if self._control.fileno() in ready:
                connected = self._read_requests()
        for name in list(self._first):
            self._signal(name, signal.SIGKILL)
        for zygote in self._zygotes.values():
            zygote.control.close()
        self._zygotes.clear()
        with contextlib.suppress(ChildProcessError):
            while True:  # also forks of a zygote that was not heard
                self._reap(block=True)

    def _read_requests(self) -> bool:
        data = self._control.recv(_LINE_BYTES)
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            request = json.loads(line)
            if "start" in request:
                self._start(request["start"])
            elif "zygote" in request:
                self._open_zygote(request["zygote"])
            else:
                self._signal(request["id"], request["signal"])
        return bool(data)

    def _start(self, job: dict[str, Any]) -> None:
        try:
            with _listen(job["folder"]) as listener:
                zygote = self._zygotes.get(job["zygote"])
                if zygote is not None and zygote.ask(job, listener):
                    self._asked[job["id"]] = job
                    return
                child, first = _launch(job, listener)
        except OSError as error:
            self._answer({"id": job["id"], "exited": -1, "why": str(error)})
            return
        self._note(job["id"], child, first)

    def _note(self, name: str, child: int, first: int | None) -> None:
        self._children[child] = name
        if first is None:
            return  # it is about to exit; agent.log says why
        with contextlib.suppress(ProcessLookupError):
            self._first[name] = os.pidfd_open(first)
            self._answer({"id": name, "pid": first})
        if name in self._doomed:
            self._signal(name, self._doomed.pop(name))

    def _open_zygote(self, job: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # a sandbox's own start then meets the same, and says so
            zygote = Zygote(job)
            self._zygotes[job["id"]] = zygote
            self._children[zygote.child] = job["id"]
            self._poller.register(zygote.control, select.POLLIN)

    def _hear_zygotes(self) -> None:
        for name, zygote in list(self._zygotes.items()):
            for sandbox, pid in zygote.answers():
                job = self._asked.pop(sandbox)
                if pid:
                    self._note(sandbox, pid, pid)
                else:
                    self._start({**job, "zygote": None})
            if zygote.gone:
                self._close_zygote(name)

    def _close_zygote(self, name: str) -> None:
        zygote = self._zygotes.pop(name)
        self._poller.unregister(zygote.control)
        zygote.control.close()
        left = [job for job in self._asked.values() if job["zygote"] == name]
        for job in left:
            del self._asked[job["id"]]
            self._start(job)

    def _signal(self, name: str, number: int) -> None:
        fd = self._first.get(name)
        if fd is None and name in self._asked:
            self._doomed[name] = number
        elif fd is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(fd, number)

    def _reap(self, *, block: bool = False) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, 0 if block else os.WNOHANG)
            except ChildProcessError:
                if block:
                    raise
                return
            if not pid:
                return
            if pid not in self._children:
                self._hear_zygotes()  # what it says of a fork comes before the fork's end
            name = self._children.pop(pid, None)
            if name is not None:
                self._bury(name, status)
            if block:
                return

    def _bury(self, name: str, status: int) -> None:
        # bubblewrap's outer half may die first; gone means that the namespace is empty.
        self._signal(name, signal.SIGKILL)
        fd = self._first.pop(name, None)
        if fd is not None:
            select.select([fd], [], [])
            os.close(fd)
        self._kill_orphans()
        self._answer({"id": name, "exited": status})

    def _kill_orphans(self) -> None:
        """Ends what a sandbox without a pid namespace left to us, until nothing comes."""
        while True:
            with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
                orphans = {int(pid) for pid in file.read().split()} - set(self._children)
            self._hear_zygotes()
            orphans -= set(self._children)
            if not orphans:
                return
            for pid in orphans:
                os.kill(pid, signal.SIGKILL)
            for pid in orphans:
                os.waitpid(pid, 0)

    def _answer(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._control.sendall(json.dumps(message).encode() + b"\n")


class Zygote:
    """A process that makes sandboxes by forking itself.

    Attributes:
        child: the pid of bubblewrap, in whose view it runs.
        control: where it is asked, and answers.
        gone: whether it will answer no more.
    """

    def __init__(self, job: dict[str, Any]) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.gone = False
        with theirs:
            self.child, _ = _launch(job, theirs)

    def ask(self, job: dict[str, Any], listener: socket.socket) -> bool:
        """Asks for a sandbox; whether it could be asked."""
        log = _open_log(job["folder"])
        try:
            request = json.dumps({**job["request"], "id": job["id"]}).encode()
            socket.send_fds(self.control, [request], [listener.fileno(), log])
        except BrokenPipeError:
            self.gone = True
        finally:
            os.close(log)
        return not self.gone

    def answers(self) -> Iterator[tuple[str, int]]:
        """What it has said by now: sandboxes, and the pids of their first processes.

        Those are our children, or will be at once. 0 is of one that did not come up.
        """
        while True:
            try:
                packet = self.control.recv(_LINE_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except ConnectionResetError:
                packet = b""
            if not packet:
                self.gone = True
                return
            answer = json.loads(packet)
            yield answer["id"], answer["pid"]


def _launch(job: dict[str, Any], handed: socket.socket) -> tuple[int, int | None]:
    """Starts bubblewrap, or the bare agent; the pids of our child and of the first process in it.

    Args:
        job: as `launch.Job` has it.
        handed: what that process gets as its descriptor.
    """
    info_read, info_write = os.pipe()
    ready_read, ready_write = os.pipe()
    go_read, go_write = os.pipe()
    child = os.fork()
    if child == 0:
        _become(job, (handed.fileno(), info_write), ready_write, go_read)
    for fd in (info_write, ready_write, go_read):
        os.close(fd)
    try:
        if os.read(ready_read, 1) and job["ids"] == "given" and job["sandbox"]:
            _map_range(child, job["first_uid"], job["uids"])
        os.write(go_write, b"x")
        if job["ids"] == "none":
            return child, child
        said = b""
        while not said.rstrip().endswith(b"}"):  # bubblewrap writes it piece by piece
            piece = os.read(info_read, 4096)
            if not piece:
                return child, None
            said += piece
    except BrokenPipeError:
        return child, None
    finally:
        for fd in (info_read, ready_read, go_write):
            os.close(fd)
    return child, json.loads(said)["child-pid"]


def _listen(folder: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    directory = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink("agent.sock", dir_fd=directory)  # of a zygote that did not do it
        # The path itself may be longer than the 107 bytes that a socket's address holds.
        listener.bind(f"/proc/self/fd/{directory}/agent.sock")
    finally:
        os.close(directory)
    listener.listen(128)
    return listener


def _map_range(child: int, first: int, count: int) -> None:
    for name in ("uid_map", "gid_map"):
        _write(f"/proc/{child}/{name}", f"0 {first} {count}")


def _become(
    job: dict[str, Any], handed: tuple[int, int], ready_write: int, go_read: int
) -> NoReturn:
    """The child: leaves the host step by step, and becomes bubblewrap or the bare agent."""
    try:
        log_fd = _open_log(job["folder"])
        null_fd = os.open(os.devnull, os.O_RDWR)
        arguments_fd = _arguments(job["options"])
        fixed = {0: null_fd, 1: null_fd, 2: log_fd}
        fixed |= {_LISTENER_FD: handed[0], _INFO_FD: handed[1], _ARGUMENTS_FD: arguments_fd}
        os.setsid()
        os.umask(0o022)
        if job["ids"] == "own":
            _own_namespace(_UID, _GID)
        if job["ids"] != "none":
            # Staged one user namespace above the sandbox's own: the kernel then locks what is
            # read-only there, and no root inside can remount it.
            _stage(job["stage"])
        if job["sandbox"]:
            if job["ids"] == "own":
                _own_namespace(0, 0)
            elif job["ids"] == "given":
                _check(_libc.unshare(_CLONE_NEWUSER), "unshare(CLONE_NEWUSER)")
        os.write(ready_write, b"x")
        os.read(go_read, 1)
        if job["sandbox"] and job["ids"] == "given":
            os.setgroups([])
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
        for name, value in job["limits"].items():
            number = getattr(resource, name)
            hard = resource.getrlimit(number)[1]
            bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(number, (bound, bound))
        _check(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
        high = {target: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 64) for target, fd in fixed.items()}
        for target, fd in high.items():
            os.dup2(fd, target, inheritable=True)
        os.execve(job["program"], job["argv"], job["env"])  # noqa: S606 - no shell is wanted
    except BaseException as error:  # noqa: BLE001 - a fork must never return into the launcher
        os.write(2, f"launcher: {error}\n".encode())
        with contextlib.suppress(OSError):
            os.write(log_fd, f"launcher: {error}\n".encode())
    finally:
        os._exit(70)


def _open_log(folder: str) -> int:
    log = os.path.join(folder, "agent.log")
    return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def _arguments(options: list[str]) -> int:
    # Through a descriptor, so that no list of processes shows the host's paths.
    fd = os.memfd_create("arguments")
    os.write(fd, b"".join(os.fsencode(option) + b"\0" for option in options))
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _stage(sources: list[list[str]]) -> None:
    """Binds each source below a private /tmp, where the sandbox's user may pass.

    The user that bubblewrap then runs as may have no right to walk through, say, /root.
    """
    _check(_libc.unshare(_CLONE_NEWNS), "unshare(CLONE_NEWNS)")
    _mount("", "/", "", _MS_REC | _MS_SLAVE)
    # Opened before the tmpfs covers them, but already in this mount namespace.
    opened = [(os.open(source, os.O_PATH), target, kind) for source, target, kind in sources]
    _mount("stage", _STAGE, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=755")
    for fd, target, kind in opened:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            os.makedirs(target)
        else:
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT, 0o644))
        _mount(f"/proc/self/fd/{fd}", target, "", _MS_BIND | _MS_REC)
        if kind == "ro":
            _make_read_only(target)


def _make_read_only(target: str) -> None:
    """Makes a mount and all below it read-only."""
    attributes = struct.pack("QQQQ", _MOUNT_ATTR_RDONLY, 0, 0, 0)
    arguments = (os.fsencode(target), _AT_RECURSIVE, attributes, len(attributes))
    result = _libc.syscall(_SYS_MOUNT_SETATTR, _AT_FDCWD, *arguments)
    if result != 0 and ctypes.get_errno() == errno.ENOSYS:  # before Linux 5.12: the top one only
        locked = os.statvfs(target).f_flag & (_MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
        _mount("", target, "", _MS_REMOUNT | _MS_BIND | _MS_RDONLY | locked)
    else:
        _check(result, f"mount_setattr of {target}")


def _own_namespace(uid: int, gid: int) -> None:
    """A user namespace whose root is this process's user."""
    _check(_libc.unshare(_CLONE_NEWUSER), "unshare(CLONE_NEWUSER)")
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"0 {uid} 1")
    _write("/proc/self/gid_map", f"0 {gid} 1")


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    encoded = [os.fsencode(text) for text in (source, target, kind)]
    result = _libc.mount(*encoded, ctypes.c_ulong(flags), data.encode())
    _check(result, f"mount of {target}")


def _check(result: int, what: str = "system call") -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


_UID, _GID = os.geteuid(), os.getegid()  # before a namespace hides them


def main() -> None:
    """Serves on the descriptor that the first argument names."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    Launcher(control).serve()


if __name__ == "__main__":
    main()
