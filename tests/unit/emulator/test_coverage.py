"""The coverage page says what the code does."""

from __future__ import annotations

import json
from pathlib import Path

from harness.cli.emulator import FIGURES
from harness.emulator.coverage import FULL, PARTIAL, REFUSED, Coverage, RouteCoverage, examine, page

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "reference" / "emulator-coverage.md"
COVERAGE = Coverage(
    api=(
        RouteCoverage(method="GET", pattern="/a", state=FULL, source="somewhere"),
        RouteCoverage(method="GET", pattern="/b", state=PARTIAL, differs="a | b"),
        RouteCoverage(method="GET", pattern="/c", state=REFUSED),
    ),
    envd=(),
    behaviours=(("part", "is not the same"),),
)

CLIENT = {
    "client": "js-newest",
    "installed": "1.2",
    "date": "2026-01-03",
    "attached_by": "variables",
    "passed": 2,
    "failed": 1,
    "lacks": 0,
    "failures": ["it: broke"],
}


def test_coverage_page_is_up_to_date() -> None:
    """`harness emulator coverage > docs/reference/emulator-coverage.md` makes it so."""
    assert PAGE.read_text() == page(examine(), ROOT / FIGURES)


def test_examine_tells_served_differing_and_refused_routes_apart() -> None:
    """A route that is served is full or partial, and one that is not is refused."""
    coverage = examine()
    states = {f"{route.method} {route.pattern}": route.state for route in coverage.api}
    assert states["POST /v2/sandboxes"] == FULL
    assert states["POST /sandboxes/{sandbox_id}/fork"] == PARTIAL
    assert states["POST /templates/{template_id}/builds/{build_id}"] == REFUSED
    assert all(route.differs for route in coverage.api if route.state == PARTIAL)
    assert all(route.source for route in coverage.envd)
    assert {part for part, _ in coverage.behaviours} >= {"guest.sudo", "guest.metrics"}


def test_page_counts_and_shows_each_route(tmp_path: Path) -> None:
    """Every state has its number, and a bar in a text does not break the table."""
    text = page(COVERAGE, tmp_path / "no-figures.json")
    assert "| control plane | 1 | 1 | 1 |" in text
    assert "| `GET /b` | partial | a \\| b |  |  |" in text
    assert "| `part` | is not the same |" in text
    assert "Conformance" not in text


def test_page_shows_measured_figures_with_date_and_versions(tmp_path: Path) -> None:
    """Figures come from the file that the runs are noted in, and are summed."""
    figures = tmp_path / "figures.json"
    area = {"area": "files", "passed": 2, "feasible": 3, "total": 4}
    run = {"date": "2026-01-02", "suite": "1.0", "sdk": "1.1", "ordinary_user": True, "workers": 4}
    whole = {**run, "runs": [[4, 6, 9]] * 3, "areas": [area, area | {"area": "git"}]}
    other = {**run, "repository": "e2b-dev/code-interpreter", "areas": [area]}
    document = {"conformance": [whole, other], "versions": [CLIENT]}
    figures.write_text(json.dumps(document))
    text = page(COVERAGE, figures)
    assert "2026-01-02: suite 1.0, SDK 1.1, an ordinary user, 4 workers, 3 runs" in text
    assert "| files | 2 / 3 / 4 |" in text
    assert "| all | 4 / 6 / 8 |" in text
    assert "the code interpreter's own public suite" in text
    assert "| js-newest | 1.2 | 2026-01-03 | variables | 2 | 1 | 0 | it: broke |" in text


def test_page_tells_for_each_route_which_versions_showed_it(tmp_path: Path) -> None:
    """By language; a span leaves out none that was run, and what nobody asked for is empty."""
    figures = tmp_path / "figures.json"
    clients = [
        {**CLIENT, "client": f"python-{version}", "installed": version, "routes": routes}
        for version, routes in (
            ("2.10.0", ["GET /a", "GET /b"]),
            ("2.9.0", ["GET /a", "GET /b"]),
            ("2.11.0", ["GET /a"]),
        )
    ]
    suite = {"date": "", "suite": "", "sdk": "2.12.0", "ordinary_user": False, "workers": 1}
    runs = [{**suite, "areas": [], "routes": ["GET /b"]}]
    clients.append({**CLIENT, "routes": ["GET /b"]})
    figures.write_text(json.dumps({"conformance": runs, "versions": clients}))
    text = page(COVERAGE, figures)
    assert "| `GET /a` | full |  | somewhere | Python 2.9.0–2.11.0 |" in text  # noqa: RUF001
    assert "| Python 2.9.0, 2.10.0, 2.12.0; JavaScript 1.2 |" in text
    assert "| `GET /c` | refused |  |  |  |" in text
