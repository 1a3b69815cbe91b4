"""What runs of suites and contracts measured, as parts of the coverage page.

The figures are those that `nox -s conformance` and `nox -s versions` note with `--figures`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from packaging.version import InvalidVersion, Version

__all__ = ["conformance_tables", "shown_with", "versions_table"]

_SUITES = {
    "e2b-dev/E2B": ("python", "E2B's own public Python suite"),
    "e2b-dev/code-interpreter": ("code-interpreter", "the code interpreter's own public suite"),
}
_LANGUAGES = {"python": "Python", "js": "JavaScript", "code-interpreter": "code interpreter"}
_SHORTEST_SPAN = 3


def shown_with(figures: Mapping[str, Any]) -> dict[str, str]:
    """For each route, the versions of the SDKs that asked for it and were served.

    Args:
        figures: the whole document.

    Returns:
        By method and pattern: each language with its versions. A span of versions leaves
        out none that was run.
    """
    routes_of: dict[tuple[str, str], set[str]] = {}
    for row in figures.get("versions", ()):
        language = row["client"].rpartition("-")[0]
        version = row["installed"].partition(" ")[0]
        routes_of.setdefault((language, version), set()).update(row.get("routes", ()))
    for run in figures.get("conformance", ()):
        language = _suite(run)[0]
        routes_of.setdefault((language, run["sdk"]), set()).update(run.get("routes", ()))
    found: dict[str, list[str]] = {}
    for language, name in _LANGUAGES.items():
        run = sorted((v for other, v in routes_of if other == language), key=_order)
        for route in sorted({route for v in run for route in routes_of[language, v]}):
            shown = [version for version in run if route in routes_of[language, version]]
            found.setdefault(route, []).append(f"{name} {_spans(run, shown)}")
    return {route: "; ".join(cells) for route, cells in found.items()}


def conformance_tables(runs: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A section for each suite, a column for each combination that was run."""
    for repository in dict.fromkeys(run.get("repository", "e2b-dev/E2B") for run in runs):
        of_suite = [run for run in runs if run.get("repository", "e2b-dev/E2B") == repository]
        yield f"## Conformance: {_suite(of_suite[0])[1]}"
        yield "Tests that need a server: passed / feasible / total, without a retry; of several"
        yield "runs, what passed in each ([how to run it](../how-to/check-conformance.md))."
        yield ""
        yield from _table(of_suite)
        yield ""


def versions_table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """How each client fared with the contract."""
    if not rows:
        return
    yield "## Versions it was shown with"
    yield "One contract for all of them ([how to run it](../how-to/check-versions.md)). What a"
    yield "version lacks is asked of later ones only."
    yield ""
    yield "| client | installed | date | attached by | passed | failed | lacks | what failed |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in rows:
        failed = "; ".join(row["failures"]).replace("|", "\\|")
        names = ("client", "installed", "date", "attached_by", "passed", "failed", "lacks")
        yield "| " + " | ".join(str(row[name]) for name in names) + f" | {failed} |"
    yield ""


def _suite(run: Mapping[str, Any]) -> tuple[str, str]:
    return _SUITES[run.get("repository", "e2b-dev/E2B")]


def _table(runs: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield "| area | " + " | ".join(map(_head, runs)) + " |"
    yield "|---" * (len(runs) + 1) + "|"
    areas: dict[str, list[str]] = {}
    for number, run in enumerate(runs):
        for row in [*run["areas"], _sum(run["areas"])]:
            cells = areas.setdefault(row["area"], [""] * len(runs))
            cells[number] = f"{row['passed']} / {row['feasible']} / {row['total']}"
    areas["all"] = areas.pop("all")
    for area, cells in areas.items():
        yield f"| {area} | " + " | ".join(cells) + " |"


def _head(run: Mapping[str, Any]) -> str:
    user = "an ordinary user" if run["ordinary_user"] else "root"
    times = len(run.get("runs", ()))
    several = f", {times} runs" if times > 1 else ""
    versions = f"suite {run['suite']}, SDK {run['sdk']}"
    return f"{run['date']}: {versions}, {user}, {run['workers']} workers{several}"


def _sum(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    names = ("passed", "feasible", "total")
    return {"area": "all"} | {name: sum(row[name] for row in rows) for name in names}


def _spans(run: Sequence[str], shown: Sequence[str]) -> str:
    if len(shown) >= _SHORTEST_SPAN and list(shown) == list(
        run[run.index(shown[0]) : run.index(shown[-1]) + 1]
    ):
        return f"{shown[0]}–{shown[-1]}"  # noqa: RUF001 - a span has an en dash
    return ", ".join(shown)


def _order(version: str) -> Version:
    try:
        return Version(version)
    except InvalidVersion:
        return Version("0")
