"""Programs that start with the first connection to their port, and again after their end.

Until then a program costs its listening socket and a waiting thread. It gets that socket
as its standard input, so no connection is lost between its lives.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import sys
import threading
import time

from .processes import Child, ProcessTable
from .spawn import spawn

TYPE_CHECKING = False  # typing's own costs every start of an agent its import
if TYPE_CHECKING:
    from .accounts import Account

__all__ = ["Activation"]

_PACKAGES = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_BACKLOG = 128
_START_S = 10.0  # a program that ends by itself sooner than that has failed to start
_PAUSE_S = 1.0


class Activation:
    """One program and its port.

    Args:
        processes: the agent's, which reap it.
        program: a Python package beside the agent's.
        env: its whole environment.
        account: who it runs as.
        log: a file for what it writes.
        limit: how many processes the user may have.
    """

    def __init__(
        self,
        processes: ProcessTable,
        program: str,
        *,
        env: dict[str, str],
        account: Account,
        log: str,
        limit: int | None,
    ) -> None:
        self._processes = processes
        start = f"import runpy, sys; sys.path.insert(0, {_PACKAGES!r}); "
        start += f"runpy.run_module({program!r}, run_name='__main__')"
        self._argv = ["python3", "-P", "-c", start]
        self._env = env
        self._account = account
        self._log = log
        self._limit = limit

    def listen(self, port: int) -> int:
        """Listens from now on; the port, another one where that is taken.

        It can be taken only where the sandbox shares the network of its host.
        """
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                listener.close()
                raise
            listener.bind(("127.0.0.1", 0))
        listener.listen(_BACKLOG)
        threading.Thread(target=self._attend, args=(listener,), daemon=True).start()
        bound: int = listener.getsockname()[1]
        return bound

    def _attend(self, listener: socket.socket) -> None:
        while True:
            _await_connection(listener)
            began, killed = time.monotonic(), False
            try:
                child = self._start(listener)
            except Exception as error:  # noqa: BLE001 - a border: the next connection tries again
                sys.excepthook(type(error), error, error.__traceback__)  # into agent.log
            else:
                child.exited.wait()
                killed = os.WIFSIGNALED(child.status)
            if not killed and time.monotonic() - began < _START_S:
                _turn_away(listener)
                time.sleep(_PAUSE_S)

    def _start(self, listener: socket.socket) -> Child:
        child = Child()
        with open(self._log, "ab") as log:
            stdio = (listener.fileno(), log.fileno(), log.fileno())
            self._processes.add(
                child,
                lambda: spawn(
                    self._argv,
                    env=self._env,
                    cwd="/",
                    account=self._account,
                    stdio=stdio,
                    processes=self._limit,
                ),
            )
        return child


def _await_connection(listener: socket.socket) -> None:
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    while not poll.poll():
        continue


def _turn_away(listener: socket.socket) -> None:
    """Closes the connections that a program which failed to start has left waiting."""
    os.set_blocking(listener.fileno(), False)
    with contextlib.suppress(OSError):
        while True:
            listener.accept()[0].close()
