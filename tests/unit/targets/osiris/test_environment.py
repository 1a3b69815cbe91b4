"""An environment is whole or not there, and each version has its own."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from wheels import write_wheel

from harness.errors import BrokenError, UsageError
from harness.targets.osiris.environment import (
    DEFAULT_SDK,
    DEFAULT_VERSION,
    OsirisEnvironment,
    ensure_environment,
)
from harness.targets.osiris.sandbox_packages import template_packages

ROOT = Path(__file__).parents[4]
WORKER = "import yaml_like\nimport optional_thing\nimport json\nfrom . import sibling\n"
SPEC = """
x-runtime:
  requirements: {imports: [%s, datetime], packages: [%s]}
"""


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that stands for the package index; nothing else is asked."""
    folder = tmp_path / "wheels"
    for version in ("1.0.0", "1.1.0"):
        product(folder, version, imports="table_like", packages="table-like")
    write_wheel(folder, "e2b-code-interpreter", "2.0.0")
    write_wheel(folder, "table-like", "3.1", files={"table_like.py": ""}, requires=["Number_Like"])
    write_wheel(folder, "number-like", "0.2", files={"number_like/__init__.py": ""})
    write_wheel(folder, "yaml-like", "6.0", files={"yaml_like/__init__.py": ""})
    write_wheel(folder, "driver-like", "2.9", files={"driver_like/__init__.py": ""})
    write_wheel(folder, "unrelated", "1", files={"unrelated.py": ""})
    config = tmp_path / "uv.toml"
    config.write_text(f'no-index = true\nfind-links = ["{folder}"]\n', encoding="utf-8")
    monkeypatch.setenv("UV_CONFIG_FILE", str(config))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    return folder


def product(folder: Path, version: str, *, imports: str, packages: str) -> None:
    write_wheel(
        folder,
        "osiris-pipeline",
        version,
        files={
            "osiris/__init__.py": "",
            "osiris/cli.py": f"def main():\n    print('osiris {version}')\n",
            "osiris/remote/proxy_worker.py": WORKER,
            "osiris/core/not_uploaded.py": "import unrelated\n",
            "components/a.b/spec.yaml": SPEC % (imports, packages),
        },
        requires=["table-like", "yaml-like", "unrelated", "absent; extra == 'dev'"],
        scripts={"osiris": "osiris.cli:main"},
    )


def build(folder: Path, version: str = "1.0.0", sdk: str = "2.0.0") -> OsirisEnvironment:
    return ensure_environment(folder, version=version, sdk=sdk)


@pytest.mark.usefixtures("index")
def test_ensure_environment_runs_where_it_was_renamed_to(tmp_path: Path) -> None:
    """The command line and the interpreter are those of the environment itself."""
    environment = build(tmp_path / "envs")
    said = subprocess.run([environment.osiris], check=True, capture_output=True, text=True).stdout
    assert said == "osiris 1.0.0\n"
    assert environment.packages["osiris-pipeline"] == "1.0.0"
    assert environment.packages["e2b-code-interpreter"] == "2.0.0"
    assert (environment.version, environment.sdk_version) == ("1.0.0", "2.0.0")


@pytest.mark.usefixtures("index")
def test_ensure_environment_each_version_has_its_own(tmp_path: Path) -> None:
    """Two versions do not share a folder; the same one asked for again does."""
    first, second = build(tmp_path / "envs"), build(tmp_path / "envs", "1.1.0")
    again = build(tmp_path / "envs", sdk="e2b-code-interpreter==2.0.0")
    assert first.folder != second.folder
    assert second.packages["osiris-pipeline"] == "1.1.0"
    assert again == first


@pytest.mark.usefixtures("index")
def test_ensure_environment_concurrent_builders_get_one(tmp_path: Path) -> None:
    """Builders at the same time, also in other processes, end with the same environment."""
    code = (
        "import sys; from pathlib import Path\n"
        "from harness.targets.osiris.environment import ensure_environment\n"
        "print(ensure_environment(Path(sys.argv[1]), version='1.0.0', sdk='2.0.0').folder)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "envs")]
    with ThreadPoolExecutor(4) as pool:
        runs = [
            pool.submit(subprocess.run, command, check=True, capture_output=True, text=True)
            for _ in range(2)
        ]
        folders = {str(build(tmp_path / "envs").folder)}
        folders |= {run.result().stdout.strip() for run in runs}
    assert len(folders) == 1
    assert {path.name for path in (tmp_path / "envs").iterdir()} == {
        ".lock",
        Path(folders.pop()).name,
    }


@pytest.mark.usefixtures("index")
def test_ensure_environment_after_a_build_cut_short_starts_anew(tmp_path: Path) -> None:
    """What a killed builder left is not taken for an environment, and is removed."""
    whole = build(tmp_path / "envs").folder
    left_over = whole.with_name(f".building-{whole.name}-abc")
    whole.rename(left_over)
    assert build(tmp_path / "envs").folder == whole
    assert not left_over.exists()


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(
    ("version", "sdk", "happened", "expected"),
    [
        ("9.9.9", "2.0.0", "unknown version of osiris-pipeline: 9.9.9", "osiris-pipeline<=1.1.0"),
        ("1.0.0", "7.7", "unknown version of e2b-code-interpreter: 7.7", "2.0.0"),
        ("latest", "2.0.0", "not a version of osiris-pipeline: 'latest'", "an exact version"),
        ("1.0 --index x", "2.0.0", "not a version", "an exact version"),
        ("1.0.0", "e2b>=1", "not a SDK", "an exact version"),
        ("1.0.0", "nothing-of-this-name==1", "unknown package", "a package"),
    ],
)
def test_ensure_environment_unknown_version_is_the_callers_mistake(
    tmp_path: Path, version: str, sdk: str, happened: str, expected: str
) -> None:
    """The message names what was asked for and what exists; nothing is left behind."""
    with pytest.raises(UsageError) as caught:
        build(tmp_path / "envs", version, sdk)
    assert happened in caught.value.happened
    assert expected in caught.value.expected
    left = {path.name for path in (tmp_path / "envs").glob("*")}
    assert left <= {".lock"}


def test_ensure_environment_that_cannot_be_built_shows_the_last_lines(
    tmp_path: Path, index: Path
) -> None:
    """A broken wheel is not the caller's mistake; uv's own words are in the message."""
    next(index.glob("yaml_like-*")).write_bytes(b"not a wheel")
    with pytest.raises(BrokenError, match=r"uv said:.*yaml"):
        build(tmp_path / "envs")


def test_ensure_environment_without_a_network_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index out of reach is not mistaken for a version that does not exist."""
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(BrokenError, match="uv said:"):
        build(tmp_path / "envs", DEFAULT_VERSION, DEFAULT_SDK)


@pytest.mark.usefixtures("index")
def test_template_packages_are_what_the_worker_needs(tmp_path: Path) -> None:
    """Imports of the components and of the uploaded modules, with what those need; no more."""
    assert template_packages(build(tmp_path / "envs")) == (
        "number-like==0.2",
        "table-like==3.1",
        "yaml-like==6.0",
    )


def test_template_packages_add_what_the_product_does_not_install(
    tmp_path: Path, index: Path
) -> None:
    """A component may name a package for a module that no dependency brings; it gets a pin."""
    product(index, "1.2.0", imports="driver_like", packages="driver-like, table-like")
    environment = build(tmp_path / "envs", "1.2.0")
    assert template_packages(environment) == ("driver-like==2.9", "yaml-like==6.0")
    write_wheel(index, "driver-like", "3.0", files={"driver_like/__init__.py": ""})
    assert "driver-like==2.9" in template_packages(environment)


def test_template_packages_module_that_nothing_installs_is_broken(
    tmp_path: Path, index: Path
) -> None:
    """A module without a package is named."""
    product(index, "1.3.0", imports="nowhere", packages="table-like")
    with pytest.raises(BrokenError, match="nowhere"):
        template_packages(build(tmp_path / "envs", "1.3.0"))


def test_default_versions_equal_those_of_the_project_file() -> None:
    """The constants of the installed package and pyproject.toml cannot drift apart."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pinned = document["tool"]["harness"]["osiris"]
    assert pinned == {"version": DEFAULT_VERSION, "sdk": DEFAULT_SDK}
