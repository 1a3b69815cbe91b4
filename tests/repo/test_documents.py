"""The documents say what the code does: commands, exit codes, markers, settings, targets."""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from pathlib import Path

import pytest

from harness.cli import NOUNS
from harness.errors import ExitCode
from harness.pytest_plugin import MARKERS
from harness.settings import ENVIRONMENT_NAMES
from harness.targets.osiris.environment import DEFAULT_SDK, DEFAULT_VERSION

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("testing_env/*.md")])


def sessions() -> dict[str, str]:
    """The noxfile's sessions and the first line of each docstring, read as source."""
    found = {}
    for node in ast.parse((ROOT / "noxfile.py").read_text()).body:
        if not isinstance(node, ast.FunctionDef):
            continue
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "nox.session":
                names = {k.arg: ast.literal_eval(k.value) for k in decorator.keywords if k.arg}
                docstring = ast.get_docstring(node) or ""
                found[names.get("name", node.name)] = docstring.partition("\n")[0]
    return found


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_every_exit_code_is_documented() -> None:
    """Each code has a row with its number and its name."""
    page = (REFERENCE / "exit-codes.md").read_text()
    for code in ExitCode:
        assert re.search(rf"^\| {code.value} \| {code.name} \|", page, re.MULTILINE)


def test_every_setting_is_documented_and_in_the_example() -> None:
    """Each variable has its place on the settings page; what users set is in .env.example."""
    page = (REFERENCE / "settings.md").read_text()
    example = (ROOT / "testing_env" / ".env.example").read_text()
    for name in ENVIRONMENT_NAMES:
        assert f"`{name}`" in page
    for name in re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE):
        assert name in ENVIRONMENT_NAMES
        if name != "E2B_DEBUG":
            assert f"#{name}=" in example


def test_every_marker_option_and_fixture_is_documented() -> None:
    """The plugin's page lists what the plugin registers."""
    page = (REFERENCE / "pytest-plugin.md").read_text()
    for name, meaning in MARKERS.items():
        assert f"| `{name}` | {meaning.replace('(E2B_API_KEY and E2B_LIVE_TESTS=1)', '')}".strip(
            " "
        ) in page.replace("(`E2B_API_KEY` and `E2B_LIVE_TESTS=1`)", "")
    source = (ROOT / "harness" / "pytest_plugin" / "__init__.py").read_text()
    for option in re.findall(r'"(--[a-z0-9-]+)"', source):
        assert option in page
    for module in ("fixtures", "osiris"):
        source = (ROOT / "harness" / "pytest_plugin" / f"{module}.py").read_text()
        for fixture in re.findall(r"^@pytest\.fixture.*\ndef (\w+)", source, re.MULTILINE):
            assert f"`{fixture}" in page or fixture.startswith("_harness")


def test_every_session_and_target_is_documented() -> None:
    """What `nox -l` and `make` offer is on the sessions page, and nothing else."""
    page = (REFERENCE / "sessions.md").read_text()
    for name, docstring in sessions().items():
        assert f"`{name}`" in page
        assert docstring
        assert len(docstring) <= 100
    documented = set(re.findall(r"^\| `make ([a-z0-9-]+)`", page, re.MULTILINE))
    assert documented == make_targets() - {"help"}


def test_the_issue_s_targets_and_sessions_are_there() -> None:
    """The names that users know from their guide exist."""
    assert {
        "test-e2b-smoke",
        "test-e2b-live",
        "test-e2b-parity",
        "test-e2b-orphans",
        "e2b-cleanup",
        "e2b-cleanup-force",
    } <= make_targets()
    assert {
        "smoke",
        "smoke-mocked",
        "smoke-live",
        "parity",
        "orphans",
        "secret-scan",
        "report",
        "tests",
        "lint",
        "types",
    } <= set(sessions())


@pytest.mark.parametrize("noun", list(NOUNS))
def test_every_noun_can_be_imported_and_has_an_application(noun: str) -> None:
    """Each word that the command line lists leads somewhere."""
    assert importlib.import_module(f"harness.cli.{noun}").app


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """A relative link of a page names a file that exists."""
    for target in re.findall(r"\]\(([^)#\s]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_readme_is_short_and_begins_with_the_two_commands() -> None:
    """A person sees what to type on the first screen."""
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) < 120
    first_screen = "\n".join(lines[:40])
    assert "make test-e2b-parity" in first_screen
    assert "make test\n" in first_screen or "make test " in first_screen


def test_the_product_s_pins_are_in_one_voice() -> None:
    """pyproject.toml and the package name the same release of Osiris and of its SDK."""
    pins = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["harness"]["osiris"]
    assert (pins["version"], pins["sdk"]) == (DEFAULT_VERSION, DEFAULT_SDK)
