"""A table of routes that matches on raw path segments.

Segments are split before they are unquoted, because E2B's clients put `%2F` and
`%3A` into template names and snapshot ids. The table is also the list of what the
emulator answers, with what source and with what difference.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response

__all__ = ["Asks", "Handler", "Match", "Route", "RouteTable"]

Handler = Callable[..., Awaitable[Response]]


class Asks(Enum):
    """Who may ask."""

    KEY = "who has the team's API key"
    PERSON = "who is logged in"
    EITHER = "either"
    NOBODY = "anyone; the request carries a permission of its own"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route.

    Attributes:
        method: the HTTP method.
        pattern: the path; `{name}` stands for one segment.
        handler: called with the request and the segments by name.
        differs: how the answer knowingly differs from E2B's; empty where it does not.
        asks: who may ask.
    """

    method: str
    pattern: str
    handler: Handler
    differs: str = ""
    asks: Asks = Asks.KEY


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A route that fits a request, and what its placeholders stand for."""

    route: Route
    segments: dict[str, str]

    async def answer(self, request: Request) -> Response:
        """Calls the handler."""
        return await self.route.handler(request, **self.segments)


class RouteTable:
    """Routes, tried literal segments first.

    Args:
        routes: the routes; no two may have the same method and pattern.
    """

    def __init__(self, routes: list[Route]) -> None:
        self.routes = tuple(routes)
        self._by_shape: dict[tuple[str, int], list[tuple[tuple[str, ...], Route]]] = {}
        for route in routes:
            parts = tuple(route.pattern.strip("/").split("/"))
            self._by_shape.setdefault((route.method, len(parts)), []).append((parts, route))
        for candidates in self._by_shape.values():
            candidates.sort(key=lambda item: sum(part.startswith("{") for part in item[0]))

    def find(self, method: str, raw_path: str) -> Match | None:
        """The route for a request, None where there is none.

        Args:
            method: the HTTP method.
            raw_path: the path as it came, still quoted, without the query.
        """
        parts = raw_path.strip("/").split("/")
        for pattern, route in self._by_shape.get((method, len(parts)), ()):
            segments = _segments(pattern, parts)
            if segments is not None:
                return Match(route=route, segments=segments)
        return None

    def methods(self, raw_path: str) -> tuple[str, ...]:
        """The methods that this path knows, sorted."""
        known = {route.method for route in self.routes}
        return tuple(sorted(method for method in known if self.find(method, raw_path)))


def _segments(pattern: tuple[str, ...], parts: list[str]) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for expected, given in zip(pattern, parts, strict=True):
        if expected.startswith("{"):
            if not given:
                return None
            found[expected[1:-1]] = unquote(given)
        elif expected != given:
            return None
    return found
