"""The bodies of requests, checked as a whole.

Source: e2b-dev/code-interpreter template/server/api/models (strict strings).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["BadBodyError", "NewContext", "NewExecution"]

Problem = dict[str, Any]


class BadBodyError(Exception):
    """A body that is not what the route takes; `problems` lists everything wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(problems)
        self.problems = problems


@dataclass(frozen=True)
class NewContext:
    """What POST /contexts takes."""

    language: str | None
    cwd: str | None

    @classmethod
    def parse(cls, body: bytes) -> NewContext:
        """The request's content.

        Raises:
            BadBodyError: with every problem.
        """
        given = _object(body)
        _check([*_string(given, "language"), *_string(given, "cwd")])
        return cls(language=given.get("language"), cwd=given.get("cwd"))


@dataclass(frozen=True)
class NewExecution:
    """What POST /execute takes."""

    code: str
    context_id: str | None
    language: str | None
    env_vars: Mapping[str, str]

    @classmethod
    def parse(cls, body: bytes) -> NewExecution:
        """The request's content.

        Raises:
            BadBodyError: with every problem.
        """
        given = _object(body)
        problems = _string(given, "code", required=True)
        problems += [*_string(given, "context_id"), *_string(given, "language")]
        envs = given.get("env_vars")
        if envs is not None and not isinstance(envs, dict):
            problems.append(_problem("dict_type", "Input should be a valid dictionary", "env_vars"))
        elif envs:
            wrong = [name for name, value in envs.items() if not isinstance(value, str)]
            problems += [_not_a_string("env_vars", name) for name in wrong]
        _check(problems)
        return cls(
            code=given["code"],
            context_id=given.get("context_id"),
            language=given.get("language"),
            env_vars=envs or {},
        )


def _object(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body)
    except ValueError as error:
        raise BadBodyError([_problem("json_invalid", f"JSON decode error: {error}")]) from error
    if not isinstance(given, dict):
        text = "Input should be a valid dictionary or object to extract fields from"
        raise BadBodyError([_problem("model_attributes_type", text)])
    return given


def _string(given: dict[str, Any], name: str, *, required: bool = False) -> list[Problem]:
    value = given.get(name)
    if isinstance(value, str):
        return []
    if required and name not in given:
        return [_problem("missing", "Field required", name)]
    return [_not_a_string(name)] if required or value is not None else []


def _not_a_string(*names: str) -> Problem:
    return _problem("string_type", "Input should be a valid string", *names)


def _problem(kind: str, text: str, *names: str) -> Problem:
    return {"type": kind, "loc": ["body", *names], "msg": text}


def _check(problems: list[Problem]) -> None:
    if problems:
        raise BadBodyError(problems)
