"""Which of E2B's routes a client asked for and was served, read off an emulator's ledger."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from harness.emulator.known_routes import ENVD_ROUTES, KNOWN_ROUTES

__all__ = ["served_routes"]

_AREAS = {"api": KNOWN_ROUTES, "envd": ENVD_ROUTES}


def served_routes(entries: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Method and pattern of each route that had an answer, in the order of E2B's own lists.

    Args:
        entries: a ledger; what a fault was planted in shows nothing and is passed over.
    """
    found: set[str] = set()
    asked = {
        (entry["area"], entry["method"], entry["path"])
        for entry in entries
        if not entry["fault"] and _was_served(entry["status"])
    }
    for area, method, path in asked:
        for known, pattern in _AREAS.get(area, ()):
            if known == method and _matcher(pattern).fullmatch(path):
                found.add(f"{method} {pattern}")
                break
    known_order = (f"{m} {p}" for routes in _AREAS.values() for m, p in routes)
    return tuple(route for route in known_order if route in found)


def _was_served(status: int | None) -> bool:
    # An upstream's 502 is the sandbox's answer; 500 and 501 are an emulator that cannot.
    return status is not None and status not in {
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.NOT_IMPLEMENTED,
    }


def _matcher(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"({\w+})", pattern)
    return re.compile("".join("[^/]+" if p[:1] == "{" else re.escape(p) for p in parts))
