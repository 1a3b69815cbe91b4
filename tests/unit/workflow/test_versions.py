"""The matrix of clients: names, and what a row says of a contract."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import ExitCode, UsageError
from harness.model.outcome import Outcome
from harness.model.verdict import Check
from harness.settings import Settings
from harness.workflow import versions
from harness.workflow.versions import run_versions
from harness.workflow.versions_clients import Ran
from harness.workflow.versions_matrix import MATRIX, Attach, Client, Language, chosen

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
        ("python-2.4.2", Attach.PROXY_OPTION),
        ("python-2.20.0", Attach.PROXY_OPTION),
        ("python-2.30.0", Attach.VARIABLES),
        ("python-newest", Attach.VARIABLES),
        ("js-2.4.2", Attach.PROXY_AGENT),
        ("js-2.20.0", Attach.VARIABLES),
        ("code-interpreter-2.11.5", Attach.VARIABLES),
    ],
)
def test_client_is_led_to_the_emulator_as_its_age_allows(name: str, expected: Attach) -> None:
    """One without a variable for sandboxes knows only public host names, and needs a proxy."""
    [client] = chosen([name])
    assert client.attached_by is expected


def test_client_that_reads_no_proxy_variable_reaches_sandboxes_all_the_same(tmp_path: Path) -> None:
    """By its own option, which each call would take."""
    contract = tmp_path / "tests" / "contract_python"
    contract.mkdir(parents=True)
    (contract / "test_contract.py").write_text(
        "from e2b import Sandbox\n\ndef test_command():\n"
        "    with Sandbox.create() as sandbox:\n"
        "        assert sandbox.commands.run('echo here').stdout == 'here\\n'\n"
    )
    settings = Settings.load(root=tmp_path, environ={})
    verdict, [row] = run_versions(chosen(["python-2.4.2"]), settings, say=print)
    assert (verdict.exit_code, row.installed) == (ExitCode.PASSED, "2.4.2")
    assert "POST /sandboxes" in row.routes
    assert "POST /process.Process/Start" in row.routes
    assert "GET /v2/sandboxes" not in row.routes


def test_run_versions_that_is_interrupted_keeps_the_rows_that_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report is written, and says that it is not the whole."""
    asked: list[str] = []

    def run(client: Client, *_: object) -> Ran:
        asked.append(client.name)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return Ran(installed="1", checks=(Check(name="it", outcome=Outcome.PASSED),))

    monkeypatch.setattr(versions, "run_contract", run)
    settings = Settings.load(root=tmp_path, environ={})
    clients = chosen(["python-2.63.0", "python-2.57.0", "python-2.51.0"])
    verdict, rows = run_versions(clients, settings, say=print)
    assert [row.client.name for row in rows] == ["python-2.63.0"]
    assert asked == ["python-2.63.0", "python-2.57.0"]
    assert verdict.exit_code is ExitCode.INTERRUPTED
    written = json.loads((settings.reports / "versions" / "verdict.json").read_text())
    assert [check["name"] for check in written["checks"]] == ["python-2.63.0::it"]
