"""The harness's end of the pipe to `child.py`: one question, one answer, one deadline."""

from __future__ import annotations

import json
import os
import selectors
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.clock import Clock, SystemClock
from harness.model.run import Json
from harness.targets.processes import GRACE_S, ProcessGroup, describe_exit

__all__ = ["Answer", "Conversation", "Ending"]

_ANSWER_LIMIT_BYTES = 64 * 1024 * 1024
_CHUNK_BYTES = 256 * 1024
_SIGNALLED = 128
_UNREADABLE = 70  # EX_SOFTWARE of sysexits.h


class Ending(StrEnum):
    """How a question ended."""

    ANSWERED = "answered"
    RAISED = "raised"
    CRASHED = "crashed"
    TIMED_OUT = "timed_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of a question.

    Attributes:
        ending: how it ended.
        result: the answer, where there is one.
        error_type: the exception's class where the product raised one.
        error: what went wrong, in the product's words or ours; None where nothing did.
        traceback: the exception's traceback as the product's process printed it.
        exit_code: the child's own, where it crashed: 128 plus the number for a signal,
            as a shell says it.
        duration_s: wall time in seconds.
    """

    ending: Ending
    result: Mapping[str, Json] = field(default_factory=dict)
    error_type: str | None = None
    error: str | None = None
    traceback: str | None = None
    exit_code: int | None = None
    duration_s: float = 0.0


class Conversation:
    """A child of the product that is asked one thing after another.

    A child that crashes, hangs or answers nonsense gives an answer that says so; from
    then on it is gone, and every further question has the same answer.

    Args:
        command: the child's command; the two descriptors' numbers are appended.
        cwd: its working directory.
        env: its whole environment.
        grace_s: what it gets between SIGTERM and SIGKILL.
        clock: measures the deadline.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        grace_s: float = GRACE_S,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._grace_s = grace_s
        self._buffer = bytearray()
        self._gone: Answer | None = None
        self._sandbox_ids: list[str] = []
        requests_read, self._requests = os.pipe()
        self._answers, answers_write = os.pipe()
        theirs = (requests_read, answers_write)
        try:
            self._process = ProcessGroup(
                [*command, *map(str, theirs)], cwd=cwd, env=env, pass_fds=theirs
            )
        except BaseException:
            os.close(self._requests)
            os.close(self._answers)
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        os.set_blocking(self._answers, False)
        self._closed = False

    @property
    def pid(self) -> int:
        """The child's process id, which is also its group's."""
        return self._process.pid

    @property
    def stdout(self) -> str:
        """What the child wrote to standard output up to now."""
        return self._process.stdout

    @property
    def stderr(self) -> str:
        """What the child wrote to standard error up to now."""
        return self._process.stderr

    @property
    def sandbox_ids(self) -> tuple[str, ...]:
        """The sandboxes that the product told of, in order."""
        return tuple(self._sandbox_ids)

    def ask(self, operation: str, *, deadline_s: float, **parameters: Json) -> Answer:
        """Asks one thing and waits for the answer, the end of the child, or the deadline."""
        if self._gone is not None:
            return self._gone
        begun = self._clock.monotonic_s()
        request = json.dumps({"op": operation, **parameters}) + "\n"
        try:
            os.write(self._requests, request.encode())
        except BrokenPipeError:
            answer = self._crashed(operation)
        else:
            answer = self._await(operation, begun + deadline_s, deadline_s)
        if answer.ending in {Ending.CRASHED, Ending.TIMED_OUT}:
            self._gone = answer
        return replace(answer, duration_s=self._clock.monotonic_s() - begun)

    def abort(self) -> None:
        """Asks the child to end, from any thread; a question under way ends as crashed."""
        self._process.abort()

    def close(self) -> None:
        """Ends the child's group and closes the pipes."""
        if self._closed:
            return
        self._closed = True
        os.close(self._requests)
        self._process.end(grace_s=self._grace_s)
        os.close(self._answers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _await(self, operation: str, until_s: float, deadline_s: float) -> Answer:
        with selectors.DefaultSelector() as selector:
            selector.register(self._answers, selectors.EVENT_READ)
            selector.register(self._process.exit_fd, selectors.EVENT_READ)
            while True:
                left_s = until_s - self._clock.monotonic_s()
                ready = {key.fd for key, _ in selector.select(max(0.0, left_s))}
                # An answer that stands in the pipe counts, even where the child has ended since.
                alive = self._read() if self._answers in ready else True
                try:
                    message = self._next_message()
                except ValueError as error:
                    return self._unreadable(operation, error)
                if message is not None:
                    return _answer(message)
                if not alive or self._process.exit_fd in ready:
                    return self._crashed(operation)
                if left_s <= 0:
                    return self._timed_out(operation, deadline_s)

    def _read(self) -> bool:
        """Takes what is in the pipe; False at its end."""
        while True:
            try:
                data = os.read(self._answers, _CHUNK_BYTES)
            except BlockingIOError:
                return True
            if not data:
                return False
            self._buffer += data
            if len(self._buffer) > _ANSWER_LIMIT_BYTES:
                return True

    def _next_message(self) -> Mapping[str, Json] | None:
        """The next answer; events on the way to it are noted.

        Raises:
            ValueError: if a line is not an answer, or is longer than an answer may be.
        """
        while (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            message = json.loads(line)
            kind = message.keys() & {"event", "ok"} if isinstance(message, dict) else None
            if kind == {"event"}:
                self._sandbox_ids.append(str(message.get("id")))
            elif kind == {"ok"}:
                return {str(key): value for key, value in message.items()}
            else:
                raise ValueError(f"neither an answer nor an event: {line[:80]!r}")
        if len(self._buffer) > _ANSWER_LIMIT_BYTES:
            raise ValueError(f"longer than {_ANSWER_LIMIT_BYTES} bytes")
        return None

    def _crashed(self, operation: str) -> Answer:
        # Its pipe may have ended before it has: a moment decides whether it was its own end.
        self._process.wait(self._grace_s)
        code = self._process.end(grace_s=self._grace_s)
        return Answer(
            ending=Ending.CRASHED,
            error=f"the product's process ended during {operation}: {describe_exit(code)}",
            exit_code=_SIGNALLED - code if code < 0 else code,
        )

    def _unreadable(self, operation: str, error: ValueError) -> Answer:
        self._process.end(grace_s=self._grace_s)
        return Answer(
            ending=Ending.CRASHED,
            exit_code=_UNREADABLE,
            error=f"the product's process answered {operation} with something unreadable: {error}",
        )

    def _timed_out(self, operation: str, deadline_s: float) -> Answer:
        code = self._process.end(grace_s=self._grace_s)
        return Answer(
            ending=Ending.TIMED_OUT,
            error=f"{operation} took longer than {deadline_s:g} s; ended by {describe_exit(code)}",
        )


def _answer(message: Mapping[str, Json]) -> Answer:
    if message["ok"]:
        result = message.get("result")
        return Answer(ending=Ending.ANSWERED, result=result if isinstance(result, dict) else {})
    error = message.get("error")
    details = error if isinstance(error, dict) else {}
    return Answer(
        ending=Ending.RAISED,
        error_type=str(details.get("type")),
        error=str(details.get("message")),
        traceback=str(details.get("traceback")),
    )
