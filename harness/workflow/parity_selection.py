"""Chooses cases of a library: by name, and by an expression as pytest's `-k` knows it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from harness.errors import UsageError
from harness.model.run import PipelineCase

__all__ = ["chooser", "select_cases"]

_TOKEN = re.compile(r"\s*(\(|\)|[^\s()]+)")
Predicate = Callable[[str], bool]


def select_cases(
    cases: Sequence[PipelineCase], *, names: Sequence[str] = (), expression: str | None = None
) -> tuple[PipelineCase, ...]:
    """The cases of these names that the expression chooses; all where neither is given.

    Args:
        cases: the library.
        names: exact names; none for all.
        expression: parts of names with `and`, `or`, `not` and parentheses.

    Raises:
        UsageError: if there is no case of a name, the expression cannot be read, or
            nothing is chosen.
    """
    known = [case.name for case in cases]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(
            f"unknown case: {', '.join(map(repr, unknown))}",
            expected=f"one of {', '.join(known) or 'no case at all'}",
            next_step="list them with `harness parity run --list`",
        )
    chosen = chooser(expression) if expression else _everything
    selected = tuple(
        case for case in cases if (not names or case.name in names) and chosen(case.name)
    )
    if not selected:
        raise UsageError(
            f"no case is chosen by -k {expression!r}" if expression else "there is no case",
            expected=f"an expression that fits one of {', '.join(known) or 'no case at all'}",
            next_step="list them with `harness parity run --list`",
        )
    return selected


def _everything(name: str) -> bool:
    del name
    return True


def chooser(expression: str) -> Predicate:
    """Whether an expression chooses a name.

    Raises:
        UsageError: if it cannot be read.
    """
    tokens = _TOKEN.findall(expression)
    predicate, rest = _either(tokens, expression)
    if rest:
        raise _unreadable(expression, rest[0])
    return predicate


def _either(tokens: list[str], whole: str) -> tuple[Predicate, list[str]]:
    left, rest = _both(tokens, whole)
    if rest and rest[0] == "or":
        right, rest = _either(rest[1:], whole)
        return (lambda name: left(name) or right(name)), rest
    return left, rest


def _both(tokens: list[str], whole: str) -> tuple[Predicate, list[str]]:
    left, rest = _one(tokens, whole)
    if rest and rest[0] == "and":
        right, rest = _both(rest[1:], whole)
        return (lambda name: left(name) and right(name)), rest
    return left, rest


def _one(tokens: list[str], whole: str) -> tuple[Predicate, list[str]]:
    if not tokens or tokens[0] in {"and", "or", ")"}:
        raise _unreadable(whole, tokens[0] if tokens else "its end")
    first, rest = tokens[0], tokens[1:]
    if first == "not":
        inner, rest = _one(rest, whole)
        return (lambda name: not inner(name)), rest
    if first == "(":
        inner, rest = _either(rest, whole)
        if not rest or rest[0] != ")":
            raise _unreadable(whole, rest[0] if rest else "its end")
        return inner, rest[1:]
    part = first.lower()
    return (lambda name: part in name.lower()), rest


def _unreadable(expression: str, at: str) -> UsageError:
    return UsageError(
        f"-k {expression!r} cannot be read at {at!r}",
        expected="parts of names with `and`, `or`, `not` and parentheses",
        next_step="correct the expression; quote it for the shell",
    )
