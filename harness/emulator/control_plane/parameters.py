"""Parameters of a query, held to their types with E2B's words for those that do not fit."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request

from harness.emulator.answers import ApiError

__all__ = ["read_choice", "read_number", "refuse_parameter"]

_INT64 = 2**63


def refuse_parameter(name: str, problem: str) -> ApiError:
    """The refusal of a parameter."""
    return ApiError(400, f'validation error: parameter "{name}" in query has an error: {problem}')


def read_number(
    request: Request, name: str, *, least: int = 0, most: int = _INT64 - 1
) -> int | None:
    """A whole number; None where the parameter is absent.

    Raises:
        ApiError: 400 where it is no number, or not within the bounds.
    """
    text = request.query_params.get(name)
    if text is None:
        return None
    if not text.removeprefix("-").isdecimal() or abs(int(text)) >= _INT64:
        raise refuse_parameter(name, f'value "{text}": an invalid integer')
    number = int(text)
    if number < least:
        raise refuse_parameter(name, f"number must be at least {least}")
    if number > most:
        raise refuse_parameter(name, f"number must be at most {most}")
    return number


def read_choice(request: Request, name: str, choices: Sequence[str]) -> str | None:
    """One of several words; None where the parameter is absent.

    Raises:
        ApiError: 400 where it is another word.
    """
    text = request.query_params.get(name)
    if text is not None and text not in choices:
        raise refuse_parameter(name, f'value "{text}" is not one of the allowed values')
    return text
