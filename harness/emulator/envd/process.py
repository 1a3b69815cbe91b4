"""envd's service process.Process: commands and terminals.

Source: e2b-dev/infra packages/envd/internal/services/process; e2b 2.63.0
e2b/envd/process/process_pb.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, aclosing
from typing import Any

from harness.emulator.envd.call_log import CallLog
from harness.emulator.envd.caller import Caller
from harness.emulator.envd.connect import ConnectError, JsonCodec, timeout_s_of
from harness.emulator.envd.procedures import ClientStreamIn, Procedure, Procedures, StreamOut
from harness.emulator.envd.proto_json import Fields, encode_bytes, without_defaults
from harness.emulator.isolation import GuestError, GuestStream, SandboxGoneError
from harness.emulator.ledger import mask_values

__all__ = ["ProcessService"]

_SIGNALS = {
    "SIGNAL_SIGTERM": signal.SIGTERM,
    "SIGNAL_SIGKILL": signal.SIGKILL,
    signal.SIGTERM: signal.SIGTERM,
    signal.SIGKILL: signal.SIGKILL,
}
MAX_NOTED_CHARACTERS = 4096
_CODEC = JsonCodec()
_KEEPALIVE = _CODEC.encode({"event": {"keepalive": {}}})


class ProcessService(Procedures):
    """The procedures of process.Process.

    Args:
        log: is told of processes.
    """

    name = "process.Process"

    def __init__(self, log: CallLog) -> None:
        self._log = log
        self._tasks: set[asyncio.Task[None]] = set()

    def procedures(self) -> dict[str, Procedure]:
        """The procedures by name."""
        return {
            "Start": Procedure.server_stream(self.start),
            "Connect": Procedure.server_stream(self.connect),
            "List": Procedure.unary(self.list),
            "SendSignal": Procedure.unary(self.send_signal),
            "SendInput": Procedure.unary(self.send_input),
            "StreamInput": Procedure.client_stream(self.stream_input),
            "CloseStdin": Procedure.unary(self.close_stdin),
            "Update": Procedure.unary(self.update),
        }

    async def start(self, caller: Caller, fields: Fields) -> StreamOut:
        """Starts a process; it ends with its deadline and outlives its client."""
        process = fields.message("process")
        parameters: dict[str, Any] = {
            "cmd": process.text("cmd"),
            "args": process.texts("args"),
            "envs": process.text_map("envs"),
            "user": caller.user,
            # Clients before envd 0.3.0 do not send the field and expect an open stdin.
            "stdin": fields.boolean("stdin", default=True),
        }
        if process.has("cwd"):
            parameters["cwd"] = process.text("cwd")
        if fields.has("tag"):
            parameters["tag"] = fields.text("tag")
        if fields.has("pty"):
            parameters["pty"] = _size(fields)
        _note_command(caller, parameters)
        if caller.exchange.hang:
            parameters |= {"cmd": "/bin/sleep", "args": ["infinity"]}
        timeout_s = timeout_s_of(caller.request)
        run = _StartedRun(caller, parameters, timeout_s, self._log, self._keep)
        if timeout_s is not None:
            self._keep(run.end_at_deadline(timeout_s))
        return StreamOut(
            messages=run.messages(),
            keepalive=_KEEPALIVE,
            timeout_s=timeout_s,
            on_deadline=run.killed,
        )

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Gives up every deadline, and waits for no process."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def connect(self, caller: Caller, fields: Fields) -> StreamOut:
        """Follows a running process from now on."""
        run = _Run(caller, "process.connect", _selector(fields))
        return StreamOut(
            messages=run.messages(),
            keepalive=_KEEPALIVE,
            timeout_s=timeout_s_of(caller.request),
        )

    async def list(self, caller: Caller, fields: Fields) -> dict[str, Any]:
        """Every process that was started and has not ended."""
        del fields
        result = await caller.guest.call("process.list")
        return without_defaults(
            {"processes": [_process_info(process) for process in result["processes"]]}
        )

    async def send_signal(self, caller: Caller, fields: Fields) -> dict[str, Any]:
        """Sends SIGTERM or SIGKILL."""
        asked = fields.raw("signal") or "SIGNAL_UNSPECIFIED"
        number = _SIGNALS.get(asked)
        parameters = _selector(fields)
        if number is None:
            raise ConnectError("unimplemented", f"invalid signal: {asked}")
        return await caller.guest.call("process.signal", **parameters, signal=int(number))

    async def send_input(self, caller: Caller, fields: Fields) -> dict[str, Any]:
        """Writes to stdin or to the terminal."""
        kind, data = _input(fields.message("input"))
        parameters = _selector(fields)
        async with caller.guest.stream("process.input", **parameters, pty=kind == "pty") as stream:
            await stream.send(data)
            await _finish(stream)
        return {}

    async def stream_input(self, caller: Caller, incoming: ClientStreamIn) -> dict[str, Any]:
        """Writes what arrives, in order, as it arrives."""
        selector: dict[str, Any] | None = None
        async with AsyncExitStack() as stack:
            streams: dict[str, GuestStream] = {}
            async for fields in incoming:
                if fields.has("start"):
                    selector = _selector(fields.message("start"))
                    await _require_process(caller, selector)
                elif fields.has("data"):
                    if selector is None:
                        raise ConnectError("invalid_argument", "input came before the start event")
                    kind, data = _input(fields.message("data").message("input"))
                    if kind not in streams:
                        streams[kind] = await stack.enter_async_context(
                            caller.guest.stream("process.input", **selector, pty=kind == "pty")
                        )
                    await streams[kind].send(data)
                elif not fields.has("keepalive"):
                    raise ConnectError("unimplemented", "invalid event type")
            for stream in streams.values():
                await _finish(stream)
        return {}

    async def close_stdin(self, caller: Caller, fields: Fields) -> dict[str, Any]:
        """Ends the process's stdin."""
        return await caller.guest.call("process.close_stdin", **_selector(fields))

    async def update(self, caller: Caller, fields: Fields) -> dict[str, Any]:
        """Resizes the terminal."""
        parameters = _selector(fields)
        if not fields.has("pty"):
            return {}
        return await caller.guest.call("process.resize", **parameters, **_size(fields))


class _Run:
    """One process as a client follows it.

    Args:
        caller: the client.
        operation: the guest's operation.
        parameters: its parameters.

    Attributes:
        sizes: bytes that the process wrote, by stream, once it has ended.
    """

    def __init__(self, caller: Caller, operation: str, parameters: dict[str, Any]) -> None:
        self._caller = caller
        self._operation = operation
        self._parameters = parameters
        self._pid: int | None = None
        self._ended = asyncio.Event()
        self.sizes: dict[str, int] = {}
        self._deadline: asyncio.Task[None] | None = None

    async def messages(self) -> AsyncGenerator[bytes, None]:
        """The stream's messages, encoded."""
        guest = self._caller.guest
        try:
            async with (
                guest.stream(self._operation, **self._parameters) as stream,
                aclosing(_events(stream, self.sizes)) as events,
            ):
                async for event in events:
                    if "start" in event:
                        self._pid = event["start"]["pid"]
                        self._caller.exchange.entry.details["pid"] = self._pid
                    self._note(event)
                    yield _encoded(event)
        except (GuestError, SandboxGoneError):
            self._ended.set()
            raise
        # Not where the client has left: then the process goes on, up to its deadline.
        self._ended.set()

    def _note(self, event: dict[str, Any]) -> None:
        """Sees each event before the client does."""

    def end_at_deadline(self, timeout_s: float) -> asyncio.Task[None]:
        """Has the process end then, whether or not its client is still there."""
        self._deadline = asyncio.create_task(self._kill_after(timeout_s))
        return self._deadline

    async def killed(self) -> None:
        """Returns once the deadline has ended the process."""
        if self._deadline is not None:
            # The client may leave while this waits; the kill is not its to cancel.
            await asyncio.shield(self._deadline)

    async def _kill_after(self, timeout_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), timeout_s)
        if self._pid is None or self._ended.is_set():
            return
        # It may have ended by itself at the same moment, or with its sandbox.
        with contextlib.suppress(GuestError, SandboxGoneError):
            await self._caller.guest.call(
                "process.signal", pid=self._pid, signal=int(signal.SIGKILL)
            )


class _StartedRun(_Run):
    """One process as its starter follows it; its start and its end are logged.

    Args:
        caller: the client.
        parameters: the guest operation's.
        timeout_s: the client's deadline; None for none.
        log: is told of the process.
        keep: holds on to a task.
    """

    def __init__(
        self,
        caller: Caller,
        parameters: dict[str, Any],
        timeout_s: float | None,
        log: CallLog,
        keep: Callable[[asyncio.Task[None]], None],
    ) -> None:
        super().__init__(caller, "process.start", parameters)
        self._timeout_s = timeout_s
        self._log = log
        self._keep = keep
        self._told_end = False

    async def messages(self) -> AsyncGenerator[bytes, None]:
        """The stream's messages, encoded; who leaves before the end does not hear it."""
        try:
            async with aclosing(super().messages()) as messages:
                async for message in messages:
                    yield message
        finally:
            if self._pid is not None and not self._told_end:
                self._keep(asyncio.create_task(self._await_end(self._pid)))

    def _note(self, event: dict[str, Any]) -> None:
        if "start" in event:
            words = [self._parameters["cmd"], *self._parameters["args"]]
            pid = event["start"]["pid"]
            self._log.process_started(self._caller.life, pid, " ".join(words), self._timeout_s)
        elif "end" in event and self._pid is not None:
            self._told_end = True
            self._log_end(self._pid, event["end"])

    async def _await_end(self, pid: int) -> None:
        """Learns the end of a process that goes on without its client."""
        # It ends with its sandbox at the latest; then there is no end to tell.
        with contextlib.suppress(GuestError, SandboxGoneError):
            async with (
                self._caller.guest.stream("process.connect", pid=pid, output=False) as stream,
                aclosing(_events(stream, self.sizes)) as events,
            ):
                async for event in events:
                    if "end" in event:
                        self._log_end(pid, event["end"])

    def _log_end(self, pid: int, end: dict[str, Any]) -> None:
        names = {"exitCode": "exit_code"}
        result = {names.get(name, name): value for name, value in end.items()}
        self._log.process_ended(self._caller.life, pid, result, self.sizes)


async def _events(
    stream: GuestStream, sizes: dict[str, int]
) -> AsyncGenerator[dict[str, Any], None]:
    """The process's events as clients are sent them; `sizes` is filled at the end."""
    output = "stdout"
    async for frame in stream:
        if isinstance(frame, bytes):
            yield {"data": {output: encode_bytes(frame)}}
        elif frame["event"] == "data":
            output = frame["stream"]
        elif frame["event"] == "start":
            yield {"start": {"pid": frame["pid"]}}
        elif frame["event"] == "end":
            sizes.update(frame.get("sizes", {}))
            yield {
                "end": without_defaults(
                    {
                        "exitCode": frame["exit_code"],
                        "exited": frame["exited"],
                        "status": frame["status"],
                        "error": frame.get("error"),
                    }
                )
            }


def _encoded(event: dict[str, Any]) -> bytes:
    """The message of an event."""
    if "data" not in event:
        return _CODEC.encode({"event": event})
    # JSON would look for what to escape at each byte, and base64 holds nothing of that kind.
    [(output, text)] = event["data"].items()
    return b'{"event":{"data":{"%s":"%s"}}}' % (output.encode(), text.encode())


async def _require_process(caller: Caller, selector: dict[str, Any]) -> None:
    """Refuses an unknown process before any input has come."""
    result = await caller.guest.call("process.list")
    (key, value), *_ = selector.items()
    if not any(process.get(key) == value for process in result["processes"]):
        raise ConnectError("not_found", f"process with {key} {value} not found")


async def _finish(stream: GuestStream) -> None:
    await stream.send_eof()
    async for _ in stream:
        pass


def _selector(fields: Fields) -> dict[str, Any]:
    process = fields.message("process")
    if process.has("pid"):
        return {"pid": process.number("pid")}
    if process.has("tag"):
        return {"tag": process.text("tag")}
    raise ConnectError("unimplemented", "invalid process selector")


def _input(fields: Fields) -> tuple[str, bytes]:
    for kind in ("stdin", "pty"):
        if fields.has(kind):
            return kind, fields.data(kind)
    raise ConnectError("unimplemented", "invalid input type")


def _size(fields: Fields) -> dict[str, int]:
    size = fields.message("pty").message("size")
    return {"cols": size.number("cols"), "rows": size.number("rows")}


def _process_info(process: dict[str, Any]) -> dict[str, Any]:
    config = process["config"]
    info: dict[str, Any] = {
        "pid": process["pid"],
        "config": without_defaults(
            {"cmd": config["cmd"], "args": config["args"], "envs": config["envs"]}
        ),
    }
    if config.get("cwd") is not None:
        info["config"]["cwd"] = config["cwd"]
    if process.get("tag") is not None:
        info["tag"] = process["tag"]
    return info


def _shortened(word: str) -> str:
    left = len(word) - MAX_NOTED_CHARACTERS
    return word if left <= 0 else f"{word[:MAX_NOTED_CHARACTERS]}… ({left} more characters)"


def _note_command(caller: Caller, parameters: dict[str, Any]) -> None:
    words = [parameters["cmd"], *parameters["args"]]
    secrets = [token for token in (caller.life.access_token,) if token]
    caller.exchange.entry.details = {
        "command": [
            _shortened(
                mask_values(word, caller.life.asked.envs, parameters["envs"], secrets=secrets)
            )
            for word in words
        ],
        "env_names": sorted(parameters["envs"]),
        "user": caller.user,
    }
