"""Starts one process as a user of the sandbox: fork, session, terminal, rights, exec."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import struct
import termios

from .accounts import Account
from .frames import Fault
from .lean import signal

__all__ = ["open_terminal", "resize", "spawn"]

_WINDOW = struct.Struct("HHHH")
_FAILURE = struct.Struct("i")
_OOM_SCORE = b"500"  # under memory pressure the kernel takes a command before the agent


def spawn(
    argv: list[str],
    *,
    env: dict[str, str],
    cwd: str,
    account: Account,
    stdio: tuple[int, int, int],
    terminal: bool = False,
    processes: int | None = None,
) -> int:
    """Starts a process in a session of its own; its pid.

    Args:
        argv: the program, looked up in `env`'s PATH, and its arguments.
        env: its whole environment.
        cwd: an existing directory.
        account: who it runs as.
        stdio: descriptors for 0, 1 and 2; the caller closes them.
        terminal: whether descriptor 0 becomes its controlling terminal.
        processes: how many processes the user may have.

    Raises:
        Fault: `invalid_argument`, if the program could not be started.
    """
    failed_read, failed_write = os.pipe()
    try:
        pid = os.fork()
        if pid == 0:
            _child(argv, env, cwd, account, stdio, terminal, processes, failed_write)
        os.close(failed_write)
        failed_write = -1
        failure = os.read(failed_read, _FAILURE.size)
    finally:
        os.close(failed_read)
        if failed_write >= 0:
            os.close(failed_write)
    if failure:
        number = _FAILURE.unpack(failure)[0]
        raise Fault("invalid_argument", f"cannot start '{argv[0]}': {os.strerror(number).lower()}")
    return pid


def open_terminal(cols: int, rows: int, account: Account) -> tuple[int, int]:
    """A new terminal of that size that belongs to the user: its master and its slave."""
    master, slave = os.openpty()
    resize(master, cols, rows)
    if account.switch and account.namespace_fd < 0:
        os.fchown(slave, account.uid, account.gid)
    return master, slave


def resize(master: int, cols: int, rows: int) -> None:
    """Changes the size of a terminal; its foreground processes get SIGWINCH."""
    fcntl.ioctl(master, termios.TIOCSWINSZ, _WINDOW.pack(rows, cols, 0, 0))


def _child(  # noqa: PLR0917 - the fresh child gets all it needs at once
    argv: list[str],
    env: dict[str, str],
    cwd: str,
    account: Account,
    stdio: tuple[int, int, int],
    terminal: bool,  # noqa: FBT001 - see above
    processes: int | None,
    failed_write: int,
) -> None:
    number = errno.EIO
    try:
        os.setsid()
        # Above 2, so that no dup2 below overwrites a source that is still needed.
        sources = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3) for fd in stdio]
        for target, source in enumerate(sources):
            os.dup2(source, target, inheritable=True)
        if terminal:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(ignored, signal.SIG_DFL)
        _bound(processes)
        account.become()
        os.chdir(cwd)
        os.umask(0o022)
        os.execvpe(argv[0], argv, env)  # noqa: S606 - no shell is wanted
    except OSError as error:
        number = error.errno or errno.EIO
    finally:
        # Whatever went wrong, a second copy of the agent must not live on.
        os.write(failed_write, _FAILURE.pack(number))
        os._exit(127)


def _bound(processes: int | None) -> None:
    if processes is not None:
        resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
    try:
        fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    except OSError:
        return
    try:
        os.write(fd, _OOM_SCORE)
    finally:
        os.close(fd)
