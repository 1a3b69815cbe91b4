"""The table of routes."""

from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.responses import Response

from harness.emulator.routes import Route, RouteTable


async def answer(request: Request) -> Response:
    del request
    return Response()


TABLE = RouteTable(
    [
        Route(method="GET", pattern="/sandboxes/{sandbox_id}", handler=answer),
        Route(method="GET", pattern="/sandboxes/metrics", handler=answer),
        Route(method="DELETE", pattern="/templates/{template_id}", handler=answer),
        Route(method="GET", pattern="/templates/aliases/{alias}", handler=answer),
    ]
)


@pytest.mark.parametrize(
    ("method", "path", "pattern", "segments"),
    [
        ("GET", "/sandboxes/i1", "/sandboxes/{sandbox_id}", {"sandbox_id": "i1"}),
        ("GET", "/sandboxes/metrics", "/sandboxes/metrics", {}),
        ("DELETE", "/templates/a%2Fb%3Ac", "/templates/{template_id}", {"template_id": "a/b:c"}),
        ("GET", "/templates/aliases/x%20y", "/templates/aliases/{alias}", {"alias": "x y"}),
    ],
)
def test_find_splits_before_it_unquotes(
    method: str, path: str, pattern: str, segments: dict[str, str]
) -> None:
    """A quoted slash stays in its segment; a literal wins over a placeholder."""
    match = TABLE.find(method, path)
    assert match is not None
    assert match.route.pattern == pattern
    assert match.segments == segments


@pytest.mark.parametrize("path", ["/sandboxes", "/sandboxes/", "/sandboxes/a/b", "/", "/x"])
def test_find_of_an_unknown_path_is_none(path: str) -> None:
    """Nothing is guessed."""
    assert TABLE.find("GET", path) is None


def test_methods_of_a_path_are_those_that_would_match() -> None:
    """A known path with a wrong method can be told from an unknown one."""
    assert TABLE.methods("/templates/x") == ("DELETE",)
    assert TABLE.methods("/nothing/here") == ()
