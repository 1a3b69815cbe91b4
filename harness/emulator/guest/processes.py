"""The processes that clients started: their output, input, signals and ends.

A process belongs to the sandbox, not to the connection that started it. Its output
goes to whoever is connected, as fast as they take it; with nobody connected it is
dropped and the process goes on, as in E2B.

Source: e2b-dev/infra packages/envd/internal/services/process/handler/handler.go
Differs: the end of a process comes soon after its exit, though a descendant may keep its
output open; E2B waits for the descendant. SIGKILL ends the whole process group.
"""

from __future__ import annotations

import os
import select
import time

from .frames import Channel, Fault, HangUp
from .lean import Event, Lock, signal, start_thread, suppress

TYPE_CHECKING = False  # typing's own costs every start of an agent its import
if TYPE_CHECKING:
    from collections.abc import Callable

    from .frames import Json

__all__ = ["Child", "Process", "ProcessTable"]

_CHUNK_BYTES = 32 * 1024
_GRACE_S = 0.25
_GRACE_AT_MOST_S = 3.0
_REAP_WAIT_S = 10.0
_REMEMBERED_S = 30.0  # how long a late client still learns an end, as in E2B


class Child:
    """A process that the agent started and waits for."""

    def __init__(self) -> None:
        self.pid = 0
        self.status = 0
        self.exited = Event()

    def mark_exited(self, status: int) -> None:
        """Notes the wait status; called once, by whoever reaped it."""
        self.status = status
        self.exited.set()


class Process(Child):
    """A process that a client started.

    Args:
        config: what the client asked for, for the list.
        tag: the client's name for it.
        outputs: descriptors to read, each with its stream's name.
        stdin: the descriptor that its input is written to, or -1.
        terminal: the master of its terminal, or -1.
    """

    def __init__(
        self,
        *,
        config: Json,
        tag: str | None,
        outputs: dict[int, str],
        stdin: int,
        terminal: int,
    ) -> None:
        super().__init__()
        self.config = config
        self.tag = tag
        self.terminal = terminal
        self._stdin = stdin
        self._outputs = outputs
        self._ended = False
        self._clients: list[Channel] = []
        self._waiting: list[Channel] = []
        self._sizes: dict[str, int] = {}
        self._lock = Lock()
        self._input_lock = Lock()
        self._wake_read, self._wake_write = os.pipe()

    def attach(self, channel: Channel, *, output: bool = True) -> None:
        """Sends the start event, and from then on every output and the end.

        One that has ended already gets its end at once.

        Args:
            channel: the client.
            output: False sends the end alone.
        """
        with self._lock:
            channel.event({"event": "start", "pid": self.pid})
            if not self._ended:
                (self._clients if output else self._waiting).append(channel)
                return
        self._say_end(channel)

    def detach(self, channel: Channel) -> None:
        """Sends no more to that client."""
        with self._lock:
            for clients in (self._clients, self._waiting):
                with suppress(ValueError):
                    clients.remove(channel)

    def write(self, data: bytes, *, terminal: bool) -> None:
        """Feeds the process; returns when it (or the kernel's buffer) has taken all.

        Raises:
            Fault: `failed_precondition`, if it has no such input.
        """
        if terminal and self.terminal < 0:
            raise Fault("failed_precondition", "the process has no terminal; write to its stdin")
        if not terminal and self.terminal >= 0:
            raise Fault("failed_precondition", "the process has a terminal; write to its pty")
        with self._input_lock:
            target = self.terminal if terminal else self._stdin
            if target < 0:
                raise Fault("failed_precondition", "stdin not enabled or closed")
            view = memoryview(data)
            try:
                while view:
                    view = view[os.write(target, view) :]
            except OSError as error:
                message = f"cannot write to process {self.pid}: {os.strerror(error.errno or 0)}"
                raise Fault("internal", message) from error

    def close_stdin(self) -> None:
        """Ends the input of a process; again is fine.

        Raises:
            Fault: `failed_precondition`, for a process with a terminal.
        """
        if self.terminal >= 0:
            raise Fault("failed_precondition", "a pty has no stdin to close; send Ctrl+D (0x04)")
        with self._input_lock:
            if self._stdin >= 0:
                os.close(self._stdin)
                self._stdin = -1

    def mark_exited(self, status: int) -> None:
        """Notes the wait status, and has the pump send what is left."""
        # Before the mark: the pump closes this pipe as soon as it sees it.
        os.write(self._wake_write, b"x")
        super().mark_exited(status)

    def abandon(self) -> None:
        """Closes what a process that could not be started would have used."""
        self._close()

    def pump(self) -> None:
        """Carries output to the clients until the end, and then the end; a thread's body."""
        open_outputs = self._carry()
        self.exited.wait()
        with self._lock:
            self._ended = True
            clients = [*self._clients, *self._waiting]
            self._clients, self._waiting = [], []
        for client in clients:
            with suppress(HangUp):
                self._say_end(client)
        self._drain(open_outputs)
        self._close()

    def _say_end(self, channel: Channel) -> None:
        channel.event({**_end_event(self.status), "sizes": self._sizes})
        channel.finish({})

    def _carry(self) -> list[int]:
        poller = select.poll()
        for fd in (*self._outputs, self._wake_read):
            poller.register(fd, select.POLLIN)
        open_outputs = list(self._outputs)
        give_up_at = None
        while open_outputs:
            ready = poller.poll(None if give_up_at is None else int(_GRACE_S * 1000))
            for fd, _ in ready:
                if fd == self._wake_read:
                    poller.unregister(fd)
                    give_up_at = time.monotonic() + _GRACE_AT_MOST_S
                    continue
                data = _read(fd)
                if data:
                    name = self._outputs[fd]
                    self._sizes[name] = self._sizes.get(name, 0) + len(data)
                    self._publish(name, data)
                else:
                    poller.unregister(fd)
                    open_outputs.remove(fd)
            # A descendant that keeps the pipe open must not hold back the end for ever.
            if give_up_at is not None and (not ready or time.monotonic() > give_up_at):
                break
        return open_outputs

    def _publish(self, stream: str, data: bytes) -> None:
        with self._lock:
            clients = list(self._clients)
        for client in clients:
            try:
                client.event_with_data({"event": "data", "stream": stream}, data)
            except HangUp:
                self.detach(client)

    @staticmethod
    def _drain(open_outputs: list[int]) -> None:
        # Closing instead would kill a daemon that still writes there, by SIGPIPE.
        poller = select.poll()
        for fd in open_outputs:
            poller.register(fd, select.POLLIN)
        left = len(open_outputs)
        while left:
            for fd, _ in poller.poll():
                if not _read(fd):
                    poller.unregister(fd)
                    left -= 1

    def _close(self) -> None:
        with self._input_lock:
            stdin, self._stdin = self._stdin, -1
            self.terminal, terminal = -1, self.terminal
        for fd in {stdin, terminal, *self._outputs, self._wake_read, self._wake_write} - {-1}:
            os.close(fd)


class ProcessTable:
    """Every process that runs, and the one that reaps them all."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._spawned = Lock()
        self._by_pid: dict[int, Child] = {}
        self._ended: list[tuple[float, Process]] = []

    def start_reaper(self) -> None:
        """Begins to reap: our children, and orphans where the agent is their parent."""
        self._spawned.acquire()
        start_thread(self._reap)

    def add(self, process: Child, spawn: Callable[[], int]) -> None:
        """Runs `spawn`, which returns the pid, and keeps the process under it."""
        with self._lock:
            try:
                process.pid = spawn()
                self._by_pid[process.pid] = process
            finally:
                if self._spawned.locked():
                    self._spawned.release()  # the reaper may be waiting for a first child

    def find(self, pid: int | None, tag: str | None, *, ended: bool = False) -> Process:
        """The running process of that pid, or the newest with that tag.

        Args:
            pid: its pid, or None to go by the tag.
            tag: its tag.
            ended: whether one that ended a moment ago will do, too.

        Raises:
            Fault: `not_found`, if there is none.
        """
        with self._lock:
            self._forget_old()
            processes = [process for _, process in self._ended] if ended else []
            processes += [child for child in self._by_pid.values() if isinstance(child, Process)]
        for process in reversed(processes):
            if process.pid == pid or (pid is None and process.tag == tag is not None):
                return process
        wanted = f"pid {pid}" if pid is not None else f"tag {tag}"
        raise Fault("not_found", f"process with {wanted} not found")

    def running(self) -> list[Process]:
        """Every process of a client that runs, oldest first."""
        with self._lock:
            return [child for child in self._by_pid.values() if isinstance(child, Process)]

    def signal_group(self, child: Child, number: int) -> None:
        """Signals a child's process group; one that has ended is fine."""
        with self._lock:
            if self._by_pid.get(child.pid) is child:
                os.killpg(child.pid, number)

    def signal(self, process: Process, number: int) -> None:
        """Signals it; returns for SIGKILL when it is reaped.

        SIGKILL ends its whole process group.

        Raises:
            Fault: `not_found`, if it has ended; `deadline_exceeded`, if it does not die.
        """
        with self._lock:
            if self._by_pid.get(process.pid) is not process:
                raise Fault("not_found", f"process with pid {process.pid} not found")
            if number == signal.SIGKILL:
                os.killpg(process.pid, number)
            else:
                os.kill(process.pid, number)
        if number == signal.SIGKILL and not process.exited.wait(_REAP_WAIT_S):
            raise Fault("deadline_exceeded", f"process {process.pid} outlived SIGKILL")

    def _reap(self) -> None:
        while True:
            try:
                # Without reaping yet: a pid may not be given away while `signal` holds the lock.
                waiting = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
            except ChildProcessError:
                with self._lock:
                    idle = not self._by_pid
                if idle:
                    self._spawned.acquire()
                continue
            if waiting is None:
                continue
            with self._lock, suppress(ChildProcessError):
                pid, status = os.waitpid(waiting.si_pid, os.WNOHANG)
                child = self._by_pid.pop(pid, None) if pid else None
                if child is not None:
                    child.mark_exited(status)
                if isinstance(child, Process):
                    self._forget_old()
                    self._ended.append((time.monotonic(), child))

    def _forget_old(self) -> None:
        oldest = time.monotonic() - _REMEMBERED_S
        self._ended = [(at, process) for at, process in self._ended if at > oldest]


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, _CHUNK_BYTES)
    except OSError:
        return b""  # EIO: the last holder of the terminal's slave has closed it


def _end_event(status: int) -> Json:
    """The words of Go's os.ProcessState, which E2B's clients are given."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        words = "signal: " + _SIGNAL_WORDS.get(number, f"signal {number}")
        if os.WCOREDUMP(status):
            words += " (core dumped)"
        return {"event": "end", "exit_code": -1, "exited": False, "status": words, "error": words}
    code = os.WEXITSTATUS(status)
    words = f"exit status {code}"
    end = {"event": "end", "exit_code": code, "exited": True, "status": words}
    return {**end, "error": words} if code else end


_SIGNAL_WORDS: dict[int, str] = {
    signal.SIGHUP: "hangup",
    signal.SIGINT: "interrupt",
    signal.SIGQUIT: "quit",
    signal.SIGILL: "illegal instruction",
    signal.SIGTRAP: "trace/breakpoint trap",
    signal.SIGABRT: "aborted",
    signal.SIGBUS: "bus error",
    signal.SIGFPE: "floating point exception",
    signal.SIGKILL: "killed",
    signal.SIGUSR1: "user defined signal 1",
    signal.SIGSEGV: "segmentation fault",
    signal.SIGUSR2: "user defined signal 2",
    signal.SIGPIPE: "broken pipe",
    signal.SIGALRM: "alarm clock",
    signal.SIGTERM: "terminated",
}
