"""JavaScript and TypeScript in a sandbox, through the real client."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from e2b_code_interpreter import Sandbox
from interpreter_lab import interpreter_emulators

_harness_emulators = interpreter_emulators


@pytest.fixture
def sandbox(code_sandbox: Callable[..., Sandbox]) -> Sandbox:
    """One sandbox that runs code."""
    return code_sandbox()


def test_javascript_has_a_context_from_the_start(sandbox: Sandbox) -> None:
    """Two contexts are there before any code: Python's and JavaScript's."""
    languages = [context.language for context in sandbox.list_code_contexts()]
    assert languages == ["python", "javascript"]


def test_declarations_are_kept_and_may_be_made_again(sandbox: Sandbox) -> None:
    """Constants outlive their code, and the next code may declare them anew."""
    sandbox.run_code("const kept = 1; const made = 1", language="js")
    execution = sandbox.run_code("const made = 2; ({ sum: [kept, made] })", language="js")
    assert execution.text == "{ sum: [ 1, 2 ] }"
    assert execution.results[0].json == {"sum": [1, 2]}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("await Promise.resolve('waited')", "waited"),
        ("import { basename as b } from 'node:path'\nb('/x/y')", "y"),
        ("import os, { EOL } from 'os'\nos.EOL === EOL", "true"),
        ("import * as path from 'path'\npath.extname('a.b')", ".b"),
        ("require('./mine.cjs').answer", "42"),
        ("enum Kind { A = 7 }; const kind: Kind = Kind.A; kind", "7"),
        ("12345678901234567890n", "12345678901234567890n"),
    ],
)
def test_modules_waits_and_types_work_at_the_top(
    sandbox: Sandbox, code: str, expected: str
) -> None:
    """What a module may say, code may say."""
    sandbox.files.write("mine.cjs", "exports.answer = 42")
    execution = sandbox.run_code(code, language="ts")
    assert execution.error is None
    assert execution.text == expected


def test_output_and_errors_are_told_apart(sandbox: Sandbox) -> None:
    """Each stream is its own, and an error names the code's own place only."""
    execution = sandbox.run_code(
        "console.log('o'); console.error('e'); throw new RangeError('far')", language="js"
    )
    assert (execution.logs.stdout, execution.logs.stderr) == (["o\n"], ["e\n"])
    assert execution.error is not None
    assert (execution.error.name, execution.error.value) == ("RangeError", "far")
    assert "javascript_runner" not in execution.error.traceback
    assert execution.results == []


def test_code_that_never_waits_costs_its_kernel_and_nothing_else(sandbox: Sandbox) -> None:
    """A loop that cannot be interrupted ends with its kernel; the next one is empty."""
    sandbox.run_code("const x = 1", language="js")
    with pytest.raises(Exception, match="timed out"):
        sandbox.run_code("while (true) {}", language="js", timeout=1)
    assert sandbox.run_code("typeof x", language="js", timeout=60).text == "undefined"
