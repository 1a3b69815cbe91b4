"""Canaries: values made for one run, so that a hit proves which secret leaked, and from where.

Each consists of a part that depends on the variable's name alone and one that
depends on the run. The scan looks for the first parts: it knows the canaries of
every run that ever was without a list of them, and their number does not grow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from harness.secret_values import Secret

__all__ = ["canary_marks", "make_canaries"]

_MARK_CHARACTERS = 24
_RUN_CHARACTERS = 16
# What a client checks before it sends the value. Source: e2b 2.45.1 (`e2b_` and hex digits).
_PREFIXES = {"E2B_API_KEY": "e2b_"}


def make_canaries(names: Iterable[str], run_id: str) -> dict[str, Secret]:
    """A value for each secret variable, the same again for the same name and run.

    Args:
        names: variables, such as `harness.settings.SECRET_NAMES`.
        run_id: names the run.

    Returns:
        The secrets by name; each value fits where the variable is used.
    """
    return {
        name: Secret(name, f"{_PREFIXES.get(name, 'canary-')}{_mark(name)}{_of_run(name, run_id)}")
        for name in names
    }


def canary_marks(names: Iterable[str]) -> tuple[Secret, ...]:
    """What every canary of these variables holds, whatever the run: for the scan."""
    return tuple(Secret(name, _mark(name)) for name in names)


def _mark(name: str) -> str:
    digest = hashlib.sha256(f"e2b-harness canary of {name}".encode())
    return digest.hexdigest()[:_MARK_CHARACTERS]


def _of_run(name: str, run_id: str) -> str:
    digest = hashlib.sha256(f"e2b-harness canary of {name} in {run_id}".encode())
    return digest.hexdigest()[:_RUN_CHARACTERS]
