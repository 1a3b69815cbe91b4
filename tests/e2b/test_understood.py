"""The fixture that fails a test for what the emulator did not understand.

Each promise is held by a pytest of its own on a small suite, as a user would run it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2b]

SUITE = """
import httpx
import pytest
from e2b import Sandbox

def ask(e2b_env, method, path, **options):
    headers = {"X-API-Key": e2b_env.endpoint.env["E2B_API_KEY"]}
    url = e2b_env.endpoint.env["E2B_API_URL"]
    return httpx.request(method, url + path, headers=headers, **options)

@pytest.mark.usefixtures("e2b_understood")
def test_unknown_route(e2b_env):
    assert ask(e2b_env, "GET", "/sandboxes/x/colour").status_code == 501

@pytest.mark.usefixtures("e2b_understood")
def test_unknown_field(e2b_env):
    body = {"templateID": "nope", "flavour": "sweet"}
    assert ask(e2b_env, "POST", "/v2/sandboxes", json=body).status_code == 404

@pytest.mark.usefixtures("e2b_understood")
def test_known(e2b_env):
    with Sandbox.create(timeout=60) as sandbox:
        sandbox.commands.run("true")

def test_unknown_without_the_fixture(e2b_env):
    assert ask(e2b_env, "GET", "/sandboxes/x/colour").status_code == 501
"""


def test_test_with_unknown_routes_and_fields_fails_where_that_was_asked(tmp_path: Path) -> None:
    """Both are named; a test that asks for what is known passes, as does one without it."""
    (tmp_path / "test_suite.py").write_text(SUITE)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rA"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "4 passed, 2 errors" in done.stdout
    assert "GET /sandboxes/x/colour: unknown route GET /sandboxes/x/colour" in done.stdout
    assert "POST /v2/sandboxes: unknown field 'flavour'" in done.stdout
    assert "ERROR test_suite.py::test_unknown_route" in done.stdout
    assert "ERROR test_suite.py::test_unknown_field" in done.stdout
