"""What envd logs of the calls to it and of the processes that it started.

Source: e2b-dev/infra packages/envd/internal/logs/interceptor.go and
packages/envd/internal/services/process/handler/handler.go (words and fields).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from harness.emulator.envd.procedures import Kind
from harness.emulator.life import SandboxLife
from harness.emulator.sandbox_logs import Level, SandboxLogs
from harness.emulator.team import TEAM_ID

__all__ = ["CallLog"]

_ERRORS_FROM = 400


class CallLog:
    """Writes lines into the logs of sandboxes.

    Args:
        logs: where they are kept.
    """

    def __init__(self, logs: SandboxLogs) -> None:
        self._logs = logs
        self._operations = itertools.count(1)

    def note(self, life: SandboxLife, path: str, kind: Kind, answer: Response) -> Response:
        """A call: one line; of a stream a line now, and one when it has ended.

        Args:
            life: the sandbox.
            path: of the procedure.
            kind: which side streams.
            answer: what is to be given.

        Returns:
            What is to be given instead.
        """
        operation = next(self._operations)
        if kind is Kind.UNARY:
            failed = answer.status_code >= _ERRORS_FROM
            self._call(life, path, Level.ERROR if failed else Level.INFO, "", operation)
            return answer
        side = kind.value.partition(" ")[0]
        self._call(life, path, Level.DEBUG, f" ({side} stream start)", operation)

        def ended() -> None:
            self._call(life, path, Level.DEBUG, f" ({side} stream end)", operation)

        return _Noted(answer, ended)

    def process_started(
        self, life: SandboxLife, pid: int, command: str, timeout_s: float | None
    ) -> None:
        """A process has been started."""
        timeout_ms = int((timeout_s or 0) * 1000)
        fields: dict[str, Any] = {"pid": pid, "command": command, "request_timeout_ms": timeout_ms}
        message = f"Process with pid {pid} started"
        self._add(life, Level.INFO, message, event_type="process_start", **fields)

    def process_ended(
        self, life: SandboxLife, pid: int, result: dict[str, Any], sizes: dict[str, int]
    ) -> None:
        """A process has ended.

        Args:
            life: the sandbox.
            pid: the process.
            result: its end, as its client is told.
            sizes: bytes that it wrote, by stream.
        """
        written = {f"{name}_bytes": sizes.get(name, 0) for name in ("stdout", "stderr", "pty")}
        fields: dict[str, Any] = {"pid": pid, "process_result": result, **written}
        message = f"Process with pid {pid} ended"
        self._add(life, Level.INFO, message, event_type="process_end", **fields)

    def _call(self, life: SandboxLife, path: str, level: Level, what: str, operation: int) -> None:
        service, _, method = path.rpartition(".")[2].partition("/")
        name = f"{service} {method[:1].lower()}{method[1:]}"
        self._add(life, level, name + what, method=f"POST {path}", operation_id=str(operation))

    def _add(self, life: SandboxLife, level: Level, message: str, **fields: Any) -> None:
        self._logs.add(
            life.sandbox_id,
            level,
            message,
            **fields,
            instanceID=life.sandbox_id,
            envID=life.asked.template.template_id,
            teamID=TEAM_ID,
        )


class _Noted(Response):
    """An answer that says when it has been given."""

    def __init__(self, answer: Response, ended: Callable[[], None]) -> None:
        super().__init__(status_code=answer.status_code)
        self.raw_headers = answer.raw_headers  # the same list: what is added here is sent there
        self._answer = answer
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._answer(scope, receive, send)
        finally:
            self._ended()
