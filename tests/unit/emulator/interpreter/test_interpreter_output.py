"""A kernel's messages as the lines that clients read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from harness.emulator.interpreter.inside.output import Line, Progress

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def message(kind: str, **content: Any) -> dict[str, Any]:
    return {"header": {"msg_type": kind, "date": NOON}, "content": content}


def lines(kind: str, **content: Any) -> list[Line]:
    return Progress(silent=False).lines(message(kind, **content))


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_output_keeps_its_stream_and_time(stream: str) -> None:
    """What is printed becomes a line of its stream."""
    assert lines("stream", name=stream, text="a\n") == [
        {"type": stream, "text": "a\n", "timestamp": "2026-01-02T12:00:00+00:00"}
    ]


@pytest.mark.parametrize(("kind", "main"), [("execute_result", True), ("display_data", False)])
def test_result_is_main_only_where_it_is_the_last_expression(kind: str, *, main: bool) -> None:
    """What is displayed on the way is a result, too, but not the main one."""
    (line,) = lines(kind, data={"text/plain": "1"})
    assert line == {"type": "result", "text": "1", "extra": {}, "is_main_result": main}


@pytest.mark.parametrize(
    ("text", "expected"), [("'a'", "a"), ('"it\'s"', "it's"), ("'a\"", "'a\""), ("[1]", "[1]")]
)
def test_result_text_loses_the_quotes_of_a_string(text: str, expected: str) -> None:
    """A string is told as what it holds; quotes that do not match stay."""
    assert lines("execute_result", data={"text/plain": text})[0]["text"] == expected


def test_every_known_form_has_its_name_and_others_stay_aside() -> None:
    """No form of a result is lost."""
    data = {"e2b/chart": {"type": "line"}, "e2b/data": {"a": [1]}, "image/png": "iVBO", "x/y": "z"}
    (line,) = lines("display_data", data=data)
    assert line["chart"] == {"type": "line"}
    assert line["data"] == {"a": [1]}
    assert line["png"] == "iVBO"
    assert line["extra"] == {"x/y": "z"}


def test_error_is_told_once_though_the_kernel_tells_it_twice() -> None:
    """The public error and the reply to the one who asked are one error."""
    progress = Progress(silent=False)
    failure = {"ename": "E", "evalue": "v", "traceback": ["a", "b"]}
    first = progress.lines(message("error", **failure))
    assert first == [{"type": "error", "name": "E", "value": "v", "traceback": "ab"}]
    assert progress.lines(message("execute_reply", status="error", **failure)) == []
    assert progress.failed


def test_execution_ends_when_the_kernel_is_idle_after_it_began() -> None:
    """An idle kernel that has not taken the code yet has not finished it."""
    progress = Progress(silent=False)
    progress.lines(message("status", execution_state="idle"))
    assert not progress.finished
    counted = progress.lines(message("execute_input", execution_count=3))
    assert counted == [{"type": "number_of_executions", "execution_count": 3}]
    progress.lines(message("status", execution_state="idle"))
    assert progress.finished


def test_code_that_the_kernel_drops_ends_in_an_error() -> None:
    """A kernel that drops what is queued behind an error leaves nobody waiting."""
    progress = Progress(silent=False)
    (line,) = progress.lines(message("execute_reply", status="aborted"))
    assert line["name"] == "ExecutionAborted"
    assert progress.finished
