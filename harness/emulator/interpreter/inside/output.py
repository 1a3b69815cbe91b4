"""Turns a kernel's messages into the lines that a client of E2B reads.

Source: e2b-dev/code-interpreter template/server/messaging.py, template/server/api/models.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

__all__ = ["Line", "Progress", "error_line"]

Line = dict[str, Any]

_NAMES = {
    "text/plain": "text",
    "text/html": "html",
    "text/markdown": "markdown",
    "image/svg+xml": "svg",
    "image/png": "png",
    "image/jpeg": "jpeg",
    "application/pdf": "pdf",
    "text/latex": "latex",
    "application/json": "json",
    "application/javascript": "javascript",
    "e2b/data": "data",
    "e2b/chart": "chart",
}
_QUOTES = ("'", '"')


def error_line(name: str, value: str, traceback: str = "") -> Line:
    """The line that reports an error."""
    return {"type": "error", "name": name, "value": value, "traceback": traceback}


class Progress:
    """What is known of one execution from the messages so far.

    Attributes:
        finished: whether the kernel is done with it.
        failed: whether it ended in an error.

    Args:
        silent: whether it is the server's own code, which the kernel does not count.
    """

    def __init__(self, *, silent: bool) -> None:
        self.finished = False
        self.failed = False
        self._accepted = silent

    def lines(self, message: dict[str, Any]) -> list[Line]:
        """The lines of one message; reads `finished` and `failed` from it, too."""
        content = message["content"]
        kind = message["header"]["msg_type"]
        if kind == "stream":
            return [_stream_line(content, message["header"].get("date"))]
        if kind in {"display_data", "execute_result"}:
            return [_result_line(content["data"], main=kind == "execute_result")]
        if kind == "execute_input":
            self._accepted = True
            count = content["execution_count"]
            return [{"type": "number_of_executions", "execution_count": count}]
        if kind == "error":
            return self._fail(content)
        if kind == "execute_reply":
            return self._reply(content)
        if kind == "status" and content["execution_state"] == "idle" and self._accepted:
            self.finished = True
        return []

    def _reply(self, content: dict[str, Any]) -> list[Line]:
        if content["status"] == "error":
            return self._fail(content)
        if content["status"] in {"abort", "aborted"}:
            # The service knows only the first of the two words, and would wait for ever.
            self.finished = self.failed = True
            return [error_line("ExecutionAborted", "Execution was aborted")]
        return []

    def _fail(self, content: dict[str, Any]) -> list[Line]:
        """An error is told twice, to everyone and to who asked; the client hears it once."""
        if self.failed:
            return []
        self.failed = True
        name, value = content.get("ename", ""), content.get("evalue", "")
        return [error_line(name, value, "".join(content.get("traceback", [])))]


def _stream_line(content: dict[str, Any], date: datetime | str | None) -> Line:
    line: Line = {"type": content["name"], "text": content["text"]}
    if date is not None:
        line["timestamp"] = date if isinstance(date, str) else date.isoformat()
    return line


def _result_line(data: dict[str, Any], *, main: bool) -> Line:
    line: Line = {"type": "result"}
    for mime, name in _NAMES.items():
        if data.get(mime) is not None:
            line[name] = data[mime]
    text = line.get("text")
    if text and any(text.startswith(quote) and text.endswith(quote) for quote in _QUOTES):
        line["text"] = text[1:-1]
    line["extra"] = {mime: value for mime, value in data.items() if mime not in _NAMES}
    line["is_main_result"] = main
    return line
