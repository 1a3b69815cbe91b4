"""Puts further lines before code that is indented as a whole, as in a quoted block."""

from __future__ import annotations

__all__ = ["indent_of", "indented"]


def indent_of(code: str) -> str:
    """The white space before the first line that holds anything else."""
    first = next((line for line in code.split("\n") if line.strip()), "")
    return first[: len(first) - len(first.lstrip())]


def indented(code: str, indent: str) -> str:
    """The code with white space before each line that is not empty."""
    return "\n".join(indent + line if line.strip() else line for line in code.split("\n"))
