"""The conformance session, with a small suite in the place of E2B's own."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from harness.errors import BrokenError, ExitCode
from harness.model.outcome import Outcome
from harness.settings import Settings
from harness.workflow.conformance import Conformance, ConformancePlan, run_conformance
from harness.workflow.conformance_results import TestResult
from harness.workflow.conformance_suite import LeftOut, Sorting, take_suite

SDK = "2.63.0"
SUITE = """
import os
import pytest
from e2b import Sandbox

def test_unit():
    assert 1 + 1 == 2

def test_command():
    with Sandbox.create() as sandbox:
        assert sandbox.commands.run("echo here").stdout == "here\\n"

def test_wrong():
    with Sandbox.create() as sandbox:
        assert sandbox.commands.run("echo here").stdout == "elsewhere\\n"

def test_moon():
    with Sandbox.create() as sandbox:
        sandbox.commands.run("curl -s --max-time 2 https://moon.invalid")

@pytest.mark.skip(reason="not today")
def test_skipped():
    pass
"""
SORTING = Sorting(
    areas=(("all of it", ("*",)),),
    left_out=(LeftOut(tests="*::test_moon", reason="needs the moon"),),
)
MANIFEST = f"""
[project]
name = "e2b"
version = "{SDK}"
[dependency-groups]
dev = ["pytest>=9", "pytest-xdist>=3.8"]
"""


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One root for the module: its environment is built once."""
    return tmp_path_factory.mktemp("root")


def run(
    root: Path,
    tmp_path: Path,
    source: str,
    *,
    sdk: str | None = None,
    runs: int = 1,
    sorting: Sorting = SORTING,
    need_a_server: Sequence[str] = (),
) -> Conformance:
    """Runs the suite; what is known to need a server is not run without one first."""
    package = tmp_path / "packages" / "python-sdk"
    (package / "tests").mkdir(parents=True, exist_ok=True)
    (package / "tests" / "test_all.py").write_text(source)
    (package / "pytest.ini").write_text("[pytest]\n")
    (package / "pyproject.toml").write_text(MANIFEST)
    if need_a_server:
        remember(root, tmp_path, need_a_server)
    settings = Settings.load(root=root, environ={})
    plan = ConformancePlan(checkout=tmp_path, workers=1, sdk=sdk, runs=runs)
    return run_conformance(plan, settings, say=print, sorting=sorting)


def remember(root: Path, checkout: Path, tests: Sequence[str]) -> None:
    """As if the suite had been run without a server before: each of these fails there."""
    rows = [
        asdict(TestResult(nodeid=f"tests/test_all.py::{name}", outcome="failed")) for name in tests
    ]
    with tempfile.TemporaryDirectory() as into:
        digest = take_suite(checkout, Path(into)).digest
    clients = root / "testing_env" / "clients"
    clients.mkdir(parents=True, exist_ok=True)
    (clients / f"baseline-{digest}-{SDK}.json").write_text(json.dumps(rows))


def test_conformance_counts_what_a_server_is_needed_for(environments: Path, tmp_path: Path) -> None:
    """Vacuous, passed, failed, left out and skipped are told apart, here and on disk."""
    found = run(environments, tmp_path, SUITE)
    assert found.vacuous == 1
    outcomes = {check.name.partition("::")[2]: check for check in found.verdict.checks}
    assert outcomes["test_command"].outcome is Outcome.PASSED
    assert outcomes["test_wrong"].outcome is Outcome.FAILED
    assert "elsewhere" in outcomes["test_wrong"].reason
    assert outcomes["test_moon"].outcome is Outcome.NOT_RUN
    assert "needs the moon" in outcomes["test_moon"].reason
    assert "not today" in outcomes["test_skipped"].reason
    assert "test_unit" not in outcomes
    (row,) = found.figures
    assert (row.passed, row.feasible, row.total) == (1, 2, 4)
    assert found.verdict.exit_code is ExitCode.FAILED
    assert found.sdk_version == SDK
    folder = environments / "testing_env" / "reports" / "conformance"
    assert json.loads((folder / "verdict.json").read_text())["details"]["vacuous"] == 1
    assert (folder / "junit.xml").is_file()


def test_conformance_a_crash_fails_what_it_swallowed(environments: Path, tmp_path: Path) -> None:
    """Tests that pytest never came to are failures, not absent."""
    crash = "\n\ndef test_a_crash():\n    Sandbox.create().kill()\n    os._exit(1)\n"
    after = "\n\ndef test_b_after():\n    Sandbox.create().kill()\n"
    source = "import os\nfrom e2b import Sandbox\n" + crash + after
    found = run(environments, tmp_path, source, need_a_server=["test_a_crash", "test_b_after"])
    assert {check.outcome for check in found.verdict.checks} == {Outcome.FAILED}
    assert len(found.verdict.checks) == 2
    assert "pytest.txt" in found.verdict.checks[0].reason


def test_conformance_of_a_suite_that_cannot_be_imported_is_broken(
    environments: Path, tmp_path: Path
) -> None:
    """A suite for another SDK is not a verdict about the emulator."""
    with pytest.raises(BrokenError) as caught:
        run(environments, tmp_path, "from e2b import NoSuchThing\n")
    assert "NoSuchThing" in caught.value.happened


def test_conformance_names_a_module_that_the_sdk_does_not_fit(
    environments: Path, tmp_path: Path
) -> None:
    """One such module keeps none of the others from counting."""
    tests = tmp_path / "packages" / "python-sdk" / "tests"
    tests.mkdir(parents=True)
    (tests / "test_old.py").write_text("from e2b import NoSuchThing\n")
    source = "from e2b import Sandbox\n\ndef test_it():\n    Sandbox.create().kill()\n"
    found = run(environments, tmp_path, source)
    outcomes = {check.name: check for check in found.verdict.checks}
    assert outcomes["tests/test_all.py::test_it"].outcome is Outcome.PASSED
    assert outcomes["tests/test_old.py"].outcome is Outcome.NOT_RUN
    assert "NoSuchThing" in outcomes["tests/test_old.py"].reason
    assert len(found.verdict.checks) == len(outcomes) == 2
    assert [(row.passed, row.feasible, row.total) for row in found.figures] == [(1, 1, 1)]


def test_conformance_with_another_sdk_counts_no_unit_test_that_it_breaks(
    environments: Path, tmp_path: Path
) -> None:
    """What needs no server with the suite's own SDK says nothing about an emulator."""
    source = (
        "from importlib.metadata import version\nfrom e2b import Sandbox\n\n"
        f"def test_unit():\n    assert version('e2b') == {SDK!r}\n\n"
        "def test_it():\n    Sandbox.create().kill()\n"
    )
    found = run(environments, tmp_path, source, sdk="2.57.0")
    assert [check.name for check in found.verdict.checks] == ["tests/test_all.py::test_it"]
    assert found.verdict.exit_code is ExitCode.PASSED
    assert (found.suite_version, found.sdk_version) == (SDK, "2.57.0")


DENYING = """
import pytest
from e2b import CommandExitException, Sandbox

CURL = "curl -sS --max-time 60 https://8.8.8.8"

def test_denied():
    with Sandbox.create(network={"deny_out": ["8.8.8.8"]}) as sandbox:
        with pytest.raises(CommandExitException):
            sandbox.commands.run(CURL)

def test_denied_vacuously():
    with Sandbox.create(network={"deny_out": ["8.8.8.8"]}) as sandbox:
        with pytest.raises(CommandExitException):
            sandbox.commands.run("false")

def test_reached():
    with Sandbox.create() as sandbox:
        assert sandbox.commands.run(CURL + " -w '%{http_code}'").stdout == "302"
"""


def test_conformance_proves_by_an_allowed_twin_that_a_denial_denies(
    environments: Path, tmp_path: Path
) -> None:
    """A test that passes although nothing is denied is broken, and so is the verdict."""
    sorting = Sorting(areas=(("all", ("*",)),), left_out=(), deny_only=("*::test_denied*",))
    tests = ["test_denied", "test_denied_vacuously", "test_reached"]
    found = run(environments, tmp_path, DENYING, sorting=sorting, need_a_server=tests)
    outcomes = {check.name.partition("::")[2]: check.outcome for check in found.verdict.checks}
    assert outcomes == {
        "test_denied": Outcome.PASSED,
        "test_denied [allowed twin]": Outcome.PASSED,
        "test_denied_vacuously": Outcome.PASSED,
        "test_denied_vacuously [allowed twin]": Outcome.BROKEN,
        "test_reached": Outcome.PASSED,
    }
    assert found.twins == 1
    assert found.verdict.exit_code is ExitCode.BROKEN


def test_conformance_counts_what_passes_in_every_run(environments: Path, tmp_path: Path) -> None:
    """A test that fails once in several runs has failed, and says in which."""
    marker = tmp_path / "seen"
    source = (
        "from pathlib import Path\nfrom e2b import Sandbox\n\n"
        "def test_steady():\n    Sandbox.create().kill()\n\n"
        "def test_shaky():\n    Sandbox.create().kill()\n"
        f"    seen = Path({str(marker)!r})\n    first = not seen.exists()\n    seen.touch()\n"
        "    assert first\n"
    )
    tests = ["test_steady", "test_shaky"]
    found = run(environments, tmp_path, source, runs=2, need_a_server=tests)
    outcomes = {check.name.partition("::")[2]: check for check in found.verdict.checks}
    assert outcomes["test_steady"].outcome is Outcome.PASSED
    assert outcomes["test_shaky"].outcome is Outcome.FAILED
    assert "run 2 of 2" in outcomes["test_shaky"].reason
    assert [(row.passed, row.feasible) for row in found.runs] == [(2, 2), (1, 2)]
    assert [(row.passed, row.feasible) for row in found.figures] == [(1, 2)]
