"""The matrix of clients: names, and what a row says of a contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import ExitCode, UsageError
from harness.model.outcome import Outcome
from harness.settings import Settings
from harness.workflow.versions import MATRIX, Language, chosen, run_versions

CONTRACT = """
import os
from importlib.metadata import version
import pytest
from e2b import Sandbox

def test_reaches_the_service():
    assert Sandbox.create().kill()

def test_is_the_version_that_was_asked_for():
    assert version("e2b") == "2.63.0"

def test_broken():
    assert os.environ["E2B_API_KEY"] == "another"

def test_lacks():
    pytest.skip("NOT_RUN: no such thing")
"""


def test_chosen_without_a_name_is_the_whole_matrix() -> None:
    """Python, JavaScript, and the interpreter that Osiris depends on."""
    assert chosen(()) == MATRIX
    assert {client.language for client in MATRIX} == set(Language)


def test_chosen_takes_versions_outside_of_the_matrix() -> None:
    """A person may ask about any version."""
    [client] = chosen(["js-2.30.1"])
    assert (client.language, client.version) == (Language.JAVASCRIPT, "2.30.1")


@pytest.mark.parametrize("name", ["2.45.1", "python", "ruby-1.0", "python-"])
def test_chosen_refuses_what_is_no_client(name: str) -> None:
    """The message names the word and the languages."""
    with pytest.raises(UsageError) as caught:
        chosen([name])
    assert repr(name) in caught.value.happened


def test_run_versions_tells_passed_failed_and_lacking_apart(tmp_path: Path) -> None:
    """Each test is a check that begins with its client's name."""
    contract = tmp_path / "tests" / "contract_python"
    contract.mkdir(parents=True)
    (contract / "test_contract.py").write_text(CONTRACT)
    settings = Settings.load(root=tmp_path, environ={})
    verdict, [row] = run_versions(chosen(["python-2.63.0"]), settings, say=print)
    assert row.installed == "2.63.0"
    assert [row.count(outcome) for outcome in Outcome] == [2, 1, 0, 1]
    assert verdict.exit_code is ExitCode.FAILED
    assert verdict.checks[0].name == "python-2.63.0::test_reaches_the_service"
    assert (settings.reports / "versions" / "verdict.json").is_file()


def test_run_versions_without_a_contract_is_refused(tmp_path: Path) -> None:
    """An installed package has no tests; that is said, not shown as green."""
    settings = Settings.load(root=tmp_path, environ={})
    with pytest.raises(UsageError) as caught:
        run_versions(chosen(["js-2.51.0"]), settings, say=print)
    assert "contract_js" in caught.value.happened


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("python-2.4.2", True),
        ("python-2.20.0", False),
        ("python-newest", False),
        ("js-2.4.2", False),
    ],
)
def test_clients_without_the_sandbox_s_variable_come_by_proxy(name: str, *, expected: bool) -> None:
    """An old Python client knows only public host names; Node's own proxy support is not as old."""
    [client] = chosen([name])
    assert client.only_public_names is expected
