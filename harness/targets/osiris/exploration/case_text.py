"""Writes a case as a file of the library: what `case_library` reads, with comments above it."""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Sequence
from typing import Any

import yaml

from harness.model.run import PipelineCase

__all__ = ["case_text"]

WIDTH = 96


def case_text(case: PipelineCase, *, notes: Sequence[str]) -> str:
    """The file's text; `load_case` reads the same case from a file of the case's own name.

    Args:
        case: its `oml` is a YAML mapping.
        notes: comments above it, one or more lines each.
    """
    lines = [
        f"# {line}".rstrip()
        for note in notes
        for whole in note.splitlines() or [""]
        for line in _wrapped(whole)
    ]
    document: dict[str, Any] = {"name": case.name, "purpose": case.purpose}
    if case.expect_success is not True:
        document["expect_success"] = case.expect_success
    document["deadline_s"] = case.deadline_s
    if case.outputs:
        document["outputs"] = list(case.outputs)
    if case.env:
        document["env"] = dict(case.env)
    if case.files:
        document["files"] = {name: _content(data) for name, data in case.files.items()}
    document["oml"] = yaml.safe_load(case.oml)
    body = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=WIDTH)
    return "\n".join([*lines, body])


def _wrapped(line: str) -> list[str]:
    """A long line as several, each indented as the first."""
    indent = line[: len(line) - len(line.lstrip())]
    wrapped = textwrap.wrap(line, WIDTH, subsequent_indent=f"{indent}  ", break_on_hyphens=False)
    return wrapped or [""]


def _content(data: bytes) -> str | dict[str, str]:
    """Text as it is; anything that text would change, in base64."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}
