"""Which routes a ledger shows to be served."""

from __future__ import annotations

from typing import Any

from harness.workflow.shown_routes import served_routes


def entry(area: str, method: str, path: str, status: int | None, fault: str = "") -> dict[str, Any]:
    return {"area": area, "method": method, "path": path, "status": status, "fault": fault}


def test_routes_are_named_by_pattern_once_and_in_order() -> None:
    """Whatever ids stand in the paths, and also where the answer is a refusal of E2B's."""
    found = served_routes(
        [
            entry("envd", "POST", "/process.Process/Start", 200),
            entry("api", "DELETE", "/sandboxes/iabc", 404),
            entry("api", "DELETE", "/sandboxes/idef", 204),
            entry("api", "POST", "/v2/sandboxes", 201),
            entry("api", "GET", "/templates/t/builds/b/status", 200),
        ]
    )
    assert found == (
        "POST /v2/sandboxes",
        "DELETE /sandboxes/{sandbox_id}",
        "GET /templates/{template_id}/builds/{build_id}/status",
        "POST /process.Process/Start",
    )


def test_what_was_not_served_shows_nothing() -> None:
    """Refused routes, failures of the emulator, resets, faults, ports and unknown paths."""
    assert not served_routes(
        [
            entry("api", "POST", "/v2/sandboxes", 501),
            entry("api", "POST", "/v2/sandboxes", 500),
            entry("api", "POST", "/v2/sandboxes", None),
            entry("api", "POST", "/v2/sandboxes", 201, "f1"),
            entry("port", "GET", "/health", 200),
            entry("api", "GET", "/sandboxes/a/b/c", 404),
            entry("api", "PUT", "/v2/sandboxes", 404),
        ]
    )
