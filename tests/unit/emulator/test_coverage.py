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
    assert "| `GET /b` | partial | a \\| b |  |" in text
    assert "| `part` | is not the same |" in text
    assert "Conformance" not in text


def test_page_shows_measured_figures_with_date_and_versions(tmp_path: Path) -> None:
    """Figures come from the file that the runs are noted in, and are summed."""
    figures = tmp_path / "figures.json"
    area = {"area": "files", "passed": 2, "feasible": 3, "total": 4}
    run = {"date": "2026-01-02", "suite": "1.0", "sdk": "1.1", "ordinary_user": True, "workers": 4}
    client = {"client": "js-1", "installed": "1", "passed": 2, "failed": 1, "lacks": 0}
    versions = {"date": "2026-01-03", "rows": [{**client, "failures": ["it: broke"]}]}
    document = {"conformance": [{**run, "areas": [area, area | {"area": "git"}]}]}
    figures.write_text(json.dumps(document | {"versions": versions}))
    text = page(COVERAGE, figures)
    assert "2026-01-02: suite 1.0, e2b 1.1, an ordinary user, 4 workers" in text
    assert "| files | 2 / 3 / 4 |" in text
    assert "| all | 4 / 6 / 8 |" in text
    assert "| js-1 | 1 | 2 | 1 | 0 | it: broke |" in text
