"""Bodies of requests to the interpreter."""

from __future__ import annotations

import json

import pytest

from harness.emulator.interpreter.inside.bodies import BadBodyError, NewContext, NewExecution


def test_execution_body_is_read_with_its_defaults() -> None:
    """What the client leaves null is as if it were left out."""
    body = {"code": "1", "context_id": None, "language": None, "env_vars": None}
    for given in (body, {"code": "1"}):
        read = NewExecution.parse(json.dumps(given).encode())
        assert read == NewExecution(code="1", context_id=None, language=None, env_vars={})


def test_context_body_may_be_empty() -> None:
    """A context needs nothing said."""
    assert NewContext.parse(b"{}") == NewContext(language=None, cwd=None)


def test_every_problem_of_a_body_is_named() -> None:
    """A wrong body is refused once, with all that is wrong."""
    body = {"language": 3, "env_vars": {"A": 1, "B": "b"}}
    with pytest.raises(BadBodyError) as refusal:
        NewExecution.parse(json.dumps(body).encode())
    assert [problem["loc"] for problem in refusal.value.problems] == [
        ["body", "code"],
        ["body", "language"],
        ["body", "env_vars", "A"],
    ]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"code": "1", "env_vars": []}'])
def test_body_that_is_no_such_object_is_refused(body: bytes) -> None:
    """Neither an answer nor a crash comes of a body that is something else."""
    with pytest.raises(BadBodyError):
        NewExecution.parse(body)
