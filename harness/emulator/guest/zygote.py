"""Makes the sandboxes of one kind: each is a fork of this process, which has the agent loaded.

A fresh interpreter that loads the agent takes most of a sandbox's start; a fork takes none
of that, and shares the memory. bubblewrap starts one zygote for each kind, in the
view that its sandboxes have, with the folders of all of them beside it. It listens to the
launcher alone, and holds nothing that one sandbox may not know of another but their folders'
names.
"""

from __future__ import annotations

import ctypes
import gc
import os
import select
import struct

# Loaded for the forks: each would load it at its first command, watcher or `sudo`.
from . import kernel  # noqa: F401
from .lean import dumps, loads, signal, socket
from .walls import die_with_parent, map_range, map_self, raise_walls, unshare

TYPE_CHECKING = False  # typing's own costs every start of an agent its import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from .frames import Json

__all__ = ["serve"]

_REQUEST_BYTES = 64 * 1024
_CONTROL_BYTES = 256
_LISTENER_FD = 10


def serve(plan_file: str, config: Json, become_agent: Callable[[Json], None]) -> None:
    """Makes a sandbox for each request, until the launcher hangs up.

    A request is one packet, `{"id", "folder", "boot_id"}`, with the descriptors of the agent's
    listening socket and of its log. The answer is `{"id", "pid"}`; 0 where none came up.

    Args:
        plan_file: the plan of `walls.raise_walls`, as JSON.
        config: each agent's, but for its boot id; the requests come from its "fd".
        become_agent: called in the fork, with its config.
    """
    with open(plan_file, "rb") as file:
        plan = loads(file.read())
    zygote = _Zygote(plan, config, socket(fileno=config["fd"]), become_agent)
    # Those in between are waited for by nobody.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.collect()
    gc.freeze()  # a collection in a fork would copy every page that it looks at
    zygote.serve()


class _Zygote:
    """Forks, and gives ids to forks that ask for them.

    A sandbox takes two forks: the one in between makes the namespaces and ends, since of a
    namespace of processes only a child can be the first. Nobody waits for it, so that many
    come up at once.
    """

    def __init__(
        self,
        plan: Json,
        config: Json,
        control: socket,
        become_agent: Callable[[Json], None],
    ) -> None:
        self._plan = plan
        self._config = config
        self._control = control
        self._become_agent = become_agent
        self._words = _Words()
        self._poller = select.poll()
        self._without_ids: dict[int, tuple[int, int]] = {}

    def serve(self) -> None:
        """Works until the launcher hangs up."""
        control = self._control.fileno()
        self._poller.register(control, select.POLLIN)
        while True:
            ready = [fd for fd, _ in self._poller.poll()]
            for fd in ready:
                if fd != control:
                    self._give_ids(fd)
            if control in ready and not self._read_request():
                return

    def _read_request(self) -> bool:
        packet, ancillary, _, _ = self._control.recvmsg(_REQUEST_BYTES, _CONTROL_BYTES)
        if not packet:
            return False
        listener, log = struct.unpack("2i", ancillary[0][2])
        asks_read, asks_write = os.pipe()
        go_read, go_write = os.pipe()
        between = os.fork()
        if between == 0:
            os.close(asks_read)
            os.close(go_write)
            self._leave(loads(packet), listener, log, asks_write, go_read)
        for fd in (listener, log, asks_write, go_read):
            os.close(fd)
        self._without_ids[asks_read] = between, go_write
        self._poller.register(asks_read, select.POLLIN)
        return True

    def _give_ids(self, asks_read: int) -> None:
        self._poller.unregister(asks_read)
        pid, go_write = self._without_ids.pop(asks_read)
        try:
            if os.read(asks_read, 1):
                map_range(pid, self._plan["first_uid"], self._plan["uids"])
                os.write(go_write, b"x")
        except OSError as error:  # it was killed meanwhile; the launcher hears of that
            os.write(2, f"zygote: {error}\n".encode())
        finally:
            os.close(asks_read)
            os.close(go_write)

    def _leave(
        self, request: Json, listener: int, log: int, asks_write: int, go_read: int
    ) -> NoReturn:
        """The fork in between."""
        try:
            os.dup2(log, 2)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for others_read, (_, others_write) in self._without_ids.items():
                os.close(others_read)
                os.close(others_write)
            between = os.pidfd_open(os.getpid())
            pid = 0
            try:
                unshare(network=self._plan["network"] == "none")
                if self._plan["ids"] == "own":
                    map_self()
                else:
                    os.write(asks_write, b"x")
                    if not os.read(go_read, 1):
                        raise OSError("the zygote ended before it gave ids")
                pid = os.fork()
                if pid == 0:
                    self._enter(request, listener, between)
            finally:
                self._control.send(dumps({"id": request["id"], "pid": pid}))
        except BaseException as error:  # noqa: BLE001 - a fork must never return into the zygote
            os.write(2, f"zygote: {error}\n".encode())
        finally:
            os._exit(70)

    def _enter(self, request: Json, listener: int, between: int) -> NoReturn:
        """The first process of the sandbox."""
        try:
            os.setsid()
            os.umask(0)
            raise_walls(self._plan, request["folder"])
            # Its end would count as its parent's: until then that must not be this one's.
            select.select([between], [], [])
            die_with_parent()
            hung_up = select.poll()
            hung_up.register(self._control.detach(), 0)
            if hung_up.poll(0):
                os._exit(70)  # the launcher died before its death could tell
            null = os.open(os.devnull, os.O_RDWR)
            for target, fd in ((0, null), (1, null), (_LISTENER_FD, listener)):
                os.dup2(fd, target)
            highest = max(map(int, os.listdir("/proc/self/fd")))
            os.closerange(3, _LISTENER_FD)
            os.closerange(_LISTENER_FD + 1, highest + 1)
            config = {**self._config, "fd": _LISTENER_FD, "boot_id": request["boot_id"]}
            self._words.say(dumps(config))
            self._become_agent(config)
        except BaseException as error:  # noqa: BLE001 - as above
            os.write(2, f"zygote: {error}\n".encode())
        finally:
            os._exit(70)


class _Words:
    """The words that a list of processes shows for this one; the last of them can be changed.

    So that one sandbox's agent can be told from another's, and from the zygote.
    """

    def __init__(self) -> None:
        with open("/proc/self/cmdline", "rb") as file:
            words = file.read()
        with open("/proc/self/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        # Source: proc_pid_stat(5): arg_start is field 48, and this list begins with field 3.
        offset = words.rindex(b"\0", 0, -1) + 1
        self._place = int(fields[45]) + offset
        self._room = len(words) - offset - 1

    def say(self, word: bytes) -> None:
        """Shows another last word, as far as there is room."""
        ctypes.memmove(self._place, word[: self._room].ljust(self._room), self._room)
