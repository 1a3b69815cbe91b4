"""E2B's suite is taken from a checkout, sorted by area, and what is left out has a reason."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.workflow.conformance_suite import (
    CODE_INTERPRETER,
    PYTHON_SDK,
    LeftOut,
    Origin,
    Sorting,
    take_suite,
)

MANIFEST = """
[project]
name = "e2b"
version = "9.8.7"

[dependency-groups]
dev = ["pytest>=9,<10", "pytest-asyncio>=1", "ruff>=0.11", "python-dotenv>=1",
    {include-group = "x"}]
"""


def checkout(folder: Path) -> Path:
    package = folder / "packages" / "python-sdk"
    (package / "tests" / "deep").mkdir(parents=True)
    (package / "tests" / "deep" / "test_a.py").write_text("def test_a(): pass\n")
    (package / "e2b").mkdir()
    (package / "e2b" / "__init__.py").write_text("raise RuntimeError('the checkout itself')\n")
    (package / "pytest.ini").write_text("[pytest]\n")
    (package / "pyproject.toml").write_text(MANIFEST)
    return folder


def test_take_suite_of_a_work_tree_takes_tests_and_no_sources(tmp_path: Path) -> None:
    """The SDK under test is the installed one, so the checkout's own never comes along."""
    into = tmp_path / "suite"
    into.mkdir()
    suite = take_suite(checkout(tmp_path / "repo"), into)
    assert (into / "tests/deep/test_a.py").is_file()
    assert not (into / "e2b").exists()
    assert suite.version == "9.8.7"
    assert set(suite.requirements) == {"pytest<10,>=9", "pytest-asyncio>=1", "python-dotenv>=1"}


def test_take_suite_of_a_bare_repository_takes_the_tag(tmp_path: Path) -> None:
    """A tag's tests are taken, not those that came after it."""
    repo = checkout(tmp_path / "repo")

    def git(*words: str) -> None:
        command = ["git", "-C", str(repo), "-c", "user.name=t", "-c", "user.email=t@t", *words]
        subprocess.run(command, check=True, capture_output=True)

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "one")
    git("tag", "@e2b/python-sdk@9.8.7")
    (repo / "packages/python-sdk/tests/deep/test_later.py").write_text("")
    git("add", ".")
    git("commit", "-qm", "two")
    digests = []
    for name, ref in (("tagged", "@e2b/python-sdk@9.8.7"), ("head", None)):
        into = tmp_path / name
        into.mkdir()
        digests.append(take_suite(repo / ".git", into, ref=ref).digest)
    assert not (tmp_path / "tagged/tests/deep/test_later.py").exists()
    assert (tmp_path / "head/tests/deep/test_later.py").exists()
    assert digests[0] != digests[1]


def test_take_suite_where_there_is_none_is_refused(tmp_path: Path) -> None:
    """The message names the folder and what was expected there."""
    with pytest.raises(UsageError) as caught:
        take_suite(tmp_path, tmp_path)
    assert str(tmp_path) in caught.value.happened
    assert "packages/python-sdk/tests" in caught.value.expected


@pytest.mark.parametrize(
    ("nodeid", "area"),
    [
        ("tests/sync/sandbox_sync/files/test_read.py::test_read_file", "files"),
        ("tests/async/sandbox_async/commands/test_run.py::test_run", "commands"),
        ("tests/sync/sandbox_sync/test_network.py::test_mask_request_host", "ingress by host name"),
        ("tests/sync/sandbox_sync/test_network.py::test_deny_all_traffic", "internet"),
        ("tests/sync/sandbox_sync/test_snapshot.py::test_snapshot", "pause and snapshot"),
        ("tests/async/template_async/test_build.py::test_build_template", "template builds"),
        ("tests/async/template_async/test_exists.py::test_exists", "template"),
        ("tests/test_something_new.py::test_it", "other"),
    ],
)
def test_area_of_a_test_is_by_its_place(nodeid: str, area: str) -> None:
    """Each test has one area; what fits none is shown as such."""
    assert Sorting.load().area(nodeid) == area


@pytest.mark.parametrize("origin", [PYTHON_SDK, CODE_INTERPRETER], ids=lambda o: o.distribution)
def test_left_out_list_gives_a_reason_each(origin: Origin) -> None:
    """Nothing is left out silently."""
    sorting = Sorting.load(origin)
    assert all(isinstance(row, LeftOut) and len(row.reason) > 20 for row in sorting.left_out)


def test_nothing_is_left_out_of_the_sdks_suite() -> None:
    """What asks the internet counts, too: a stand-in answers."""
    assert Sorting.load().left_out == ()


@pytest.mark.parametrize(
    ("nodeid", "counts"),
    [
        ("tests/sync/env_vars/test_r.py::test_env_vars_overwrite", False),
        ("tests/sync/env_vars/test_python.py::test_env_vars_overwrite", True),
        ("tests/async/test_async_default_kernels.py::test_java_kernel", False),
        ("tests/async/test_async_default_kernels.py::test_js_kernel", True),
        ("tests/sync/test_cwd.py::test_cwd_r", False),
        ("tests/sync/test_reconnect.py::test_reconnect", True),
    ],
)
def test_of_the_interpreters_suite_r_and_java_alone_are_left_out(
    nodeid: str,
    counts: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """A pattern takes nothing beside it along."""
    sorting = Sorting.load(CODE_INTERPRETER)
    assert (sorting.why_left_out(nodeid) is None) is counts
    assert (sorting.area(nodeid) == "R and Java") is not counts


def test_suite_of_the_interpreter_is_taken_with_what_its_lock_names(tmp_path: Path) -> None:
    """Its manifest is Poetry's, and the e2b that its own version was tested with is known."""
    package = tmp_path / "repo" / "python"
    (package / "tests").mkdir(parents=True)
    (package / "tests" / "test_a.py").write_text("def test_a(): pass\n")
    (package / "pytest.ini").write_text("[pytest]\n")
    (package / "pyproject.toml").write_text(
        '[tool.poetry]\nversion = "2.9.1"\n[tool.poetry.group.dev.dependencies]\n'
        'pytest = "^9.0.3"\nruff = "^0.11"\nmatplotlib = { version = "^3" }\n'
    )
    (package / "poetry.lock").write_text('[[package]]\nname = "e2b"\nversion = "2.39.1"\n')
    into = tmp_path / "suite"
    into.mkdir()
    suite = take_suite(tmp_path / "repo", into, origin=CODE_INTERPRETER)
    assert (suite.version, suite.requirements, suite.locked) == (
        "2.9.1",
        ("pytest>=9.0.3",),
        ("e2b==2.39.1",),
    )
    assert {path.name for path in into.iterdir()} == {"tests", "pytest.ini"}


def test_tests_are_attached_as_they_need_it() -> None:
    """Public host names, a neighbour, and a twin that may all: each by the test's place."""
    sorting = Sorting.load()
    network = "tests/sync/sandbox_sync/test_network.py::"
    assert sorting.is_by_name("tests/sync/sandbox_sync/test_host.py::test_ping_server")
    assert not sorting.is_by_name("tests/sync/sandbox_sync/files/test_read.py::test_read_file")
    assert sorting.needs_httpbin(f"{network}test_firewall_transform_injects_headers")
    assert not sorting.needs_httpbin(f"{network}test_deny_all_traffic")
    assert sorting.only_denies(f"{network}test_deny_all_traffic")
    assert not sorting.only_denies(f"{network}test_deny_specific_ip")
