"""The coverage page, made from the code: what is served, how it differs, what is refused.

A route's source and difference are what its own code says: `Route.differs`, or the
lines `Source:` and `Differs:` of its handler and of the handler's module.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import pkgutil
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import harness.emulator
from harness.emulator.assembly import assemble
from harness.emulator.control_plane.api import ControlPlane
from harness.emulator.coverage_figures import conformance_tables, shown_with, versions_table
from harness.emulator.envd.api import Envd
from harness.emulator.known_routes import ENVD_ROUTES, KNOWN_ROUTES
from harness.emulator.serve_options import ServeOptions
from harness.emulator.service import EmulatedService

__all__ = ["Coverage", "RouteCoverage", "examine", "page"]

_MARKED = "(?:Source|Differs|Raises|Args|Returns|Attributes)"
_END = rf"(?=\n\s*\n|\n\s*{_MARKED}:|\s{_MARKED}:|\Z)"
FULL, PARTIAL, REFUSED = "full", "partial", "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteCoverage:
    """One route.

    Attributes:
        method: the HTTP method.
        pattern: the path.
        state: "full", "partial" or "refused".
        differs: how it differs, or why it is refused; empty where it is full.
        source: where its behaviour was read; empty where the code names none.
    """

    method: str
    pattern: str
    state: str
    differs: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Everything that the code says of itself.

    Attributes:
        api: the control plane's routes, in the order of E2B's own list.
        envd: those of a sandbox.
        behaviours: module and what differs there, beyond single routes.
    """

    api: tuple[RouteCoverage, ...]
    envd: tuple[RouteCoverage, ...]
    behaviours: tuple[tuple[str, str], ...]


def examine() -> Coverage:
    """Reads the coverage off an emulator's own tables; starts no sandbox.

    Raises:
        BrokenError: this machine cannot run an emulator.
    """
    return asyncio.run(_examine())


def page(coverage: Coverage, figures: Path) -> str:
    """The page in Markdown.

    Args:
        coverage: what is served.
        figures: the JSON file of measured figures; what it lacks is not on the page.
    """
    measured = json.loads(figures.read_text(encoding="utf-8")) if figures.is_file() else {}
    shown = shown_with(measured)
    return "\n".join(
        (
            "# What the emulator covers",
            "",
            "Made from the code by `harness emulator coverage`; a test holds it up to date.",
            "Full: answers as E2B does, as far as its clients can tell. Partial: with the",
            "difference that is named. Refused: 501 with the route's name, and a note in the",
            "ledger; an unknown field is accepted, and noted too. Shown with: the versions of",
            "E2B's SDKs that asked for the route, in their own suites or in the contract of all",
            "versions, and were served.",
            "",
            *_summary(coverage),
            "",
            "## Control plane",
            *_table(coverage.api, shown),
            "",
            "## Inside a sandbox (envd)",
            *_table(coverage.envd, shown),
            "",
            "## What differs beyond single routes",
            "| part | difference |",
            "|---|---|",
            *(f"| `{part}` | {_cell(text)} |" for part, text in coverage.behaviours),
            "",
            *conformance_tables(measured.get("conformance", ())),
            *versions_table(measured.get("versions", ())),
        )
    )


async def _examine() -> Coverage:
    with tempfile.TemporaryDirectory(prefix="harness-coverage-") as folder:
        async with assemble(ServeOptions(pool_size=0), Path(folder), 0) as service:
            return Coverage(
                api=tuple(_api(service)),
                envd=tuple(_envd(service)),
                behaviours=tuple(_behaviours()),
            )


def _api(service: EmulatedService) -> Iterator[RouteCoverage]:
    routes = {
        (route.method, _shape(route.pattern)): route for route in ControlPlane(service).table.routes
    }
    for method, pattern in KNOWN_ROUTES:
        route = routes.pop((method, _shape(pattern)), None)
        if route is None:
            yield RouteCoverage(method=method, pattern=pattern, state=REFUSED)
        else:
            yield _served(method, pattern, route.handler, route.differs)
    for route in routes.values():
        yield _served(route.method, route.pattern, route.handler, route.differs)


def _envd(service: EmulatedService) -> Iterator[RouteCoverage]:
    envd = Envd(service)
    for method, pattern in ENVD_ROUTES:
        if "." not in pattern:
            yield _served(method, pattern, Envd.answer, "")
            continue
        procedure = envd.procedures.get(pattern)
        if procedure is None:
            yield RouteCoverage(method=method, pattern=pattern, state=REFUSED)
        else:
            yield _served(method, pattern, _function_of(procedure), "")


def _function_of(procedure: Any) -> Callable[..., Any]:
    """The method behind a procedure, whatever wraps it."""
    for name in getattr(type(procedure), "__slots__", ()):
        value = getattr(procedure, name)
        if inspect.ismethod(value) or inspect.isfunction(value):
            found: Callable[..., Any] = value
            return found
    fallback: Callable[..., Any] = procedure
    return fallback


def _served(method: str, pattern: str, handler: Callable[..., Any], differs: str) -> RouteCoverage:
    own = inspect.getdoc(handler) or ""
    module = sys.modules.get(getattr(handler, "__module__", ""), None)
    of_module = inspect.getdoc(module) or "" if module is not None else ""
    differs = differs or "; ".join(_marked("Differs", own))
    sources = _marked("Source", own) or _marked("Source", of_module)
    return RouteCoverage(
        method=method,
        pattern=pattern,
        state=_state(differs),
        differs=differs,
        source="; ".join(sources),
    )


def _state(differs: str) -> str:
    if differs.startswith("refused"):
        return REFUSED
    return PARTIAL if differs else FULL


def _behaviours() -> Iterator[tuple[str, str]]:
    """Each `Differs:` line of the package, once, by the module that holds it."""
    for info in pkgutil.walk_packages(harness.emulator.__path__, "harness.emulator."):
        name = info.name.removeprefix("harness.emulator.")
        if name.endswith("__main__") or ".inside" in name or name == "coverage":
            continue
        source = importlib.util.find_spec(info.name)
        if source is None or source.origin is None:
            continue
        text = Path(source.origin).read_text(encoding="utf-8")
        for docstring in re.findall(r'"""(.*?)"""', text, re.DOTALL):
            for differs in _marked("Differs", inspect.cleandoc(docstring)):
                yield name, differs


def _marked(word: str, docstring: str) -> list[str]:
    found = re.findall(rf"\b{word}: (.+?){_END}", docstring, re.DOTALL)
    return [" ".join(text.split()).rstrip(".") for text in found]


def _shape(pattern: str) -> str:
    return re.sub(r"{\w+}", "{}", pattern)


def _summary(coverage: Coverage) -> Iterator[str]:
    yield "| | full | partial | refused |"
    yield "|---|---|---|---|"
    for title, routes in (("control plane", coverage.api), ("envd", coverage.envd)):
        counts = [
            sum(route.state == state for route in routes) for state in (FULL, PARTIAL, REFUSED)
        ]
        yield f"| {title} | " + " | ".join(map(str, counts)) + " |"


def _table(routes: Sequence[RouteCoverage], shown: Mapping[str, str]) -> Iterator[str]:
    yield "| route | state | how it differs | source | shown with |"
    yield "|---|---|---|---|---|"
    for route in routes:
        name = f"{route.method} {route.pattern}"
        cells = (_cell(route.differs), _cell(route.source), shown.get(name, ""))
        yield f"| `{name}` | {route.state} | " + " | ".join(cells) + " |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
