from __future__ import annotations

import pytest
from parity_target import case

from harness.errors import UsageError
from harness.workflow.parity_selection import select_cases

LIBRARY = [case(name) for name in ("rows-10", "rows-1000", "chain", "fan-in-join")]


def chosen(expression: str | None = None, *names: str) -> list[str]:
    return [item.name for item in select_cases(LIBRARY, names=names, expression=expression)]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (None, ["rows-10", "rows-1000", "chain", "fan-in-join"]),
        ("rows", ["rows-10", "rows-1000"]),
        ("ROWS and not 1000", ["rows-10"]),
        ("chain or join", ["chain", "fan-in-join"]),
        ("not (rows or chain)", ["fan-in-join"]),
        ("rows and 1000 or chain", ["rows-1000", "chain"]),
    ],
)
def test_expression_chooses_as_pytest_does(expression: str | None, expected: list[str]) -> None:
    """Parts of names, and, or, not, parentheses; `and` binds more tightly."""
    assert chosen(expression) == expected


def test_names_are_exact_and_combine_with_an_expression() -> None:
    """A name is a whole name."""
    assert chosen(None, "rows-10") == ["rows-10"]
    assert chosen("1000", "rows-10", "rows-1000") == ["rows-1000"]


@pytest.mark.parametrize("expression", ["and", "rows and", "(rows", "rows)", "not", "rows chain"])
def test_expression_that_cannot_be_read_is_refused(expression: str) -> None:
    """Bad input names the place where it stops making sense."""
    with pytest.raises(UsageError, match="cannot be read at"):
        chosen(expression)


def test_nothing_chosen_is_refused() -> None:
    """A run of no case is no run."""
    with pytest.raises(UsageError, match="no case is chosen"):
        chosen("nothing")
    with pytest.raises(UsageError, match="unknown case: 'rows'"):
        chosen(None, "rows")
    with pytest.raises(UsageError, match="there is no case"):
        select_cases([])
