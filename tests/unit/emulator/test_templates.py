"""Environments of templates: built once, whole or not at all, and what sandboxes see of them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from guest_lab import Guest, Lab
from wheels import write_wheel

from harness.emulator.isolation import SandboxHost
from harness.emulator.templates import TemplateEnvironment, bare_environment, ensure_template
from harness.errors import BrokenError

BUILD = """
import sys
from pathlib import Path
from harness.emulator.templates import ensure_template
print(ensure_template(Path(sys.argv[1]), packages=[sys.argv[2]]).prefix)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A requirement that needs no package index: a module and a command."""
    source = "def main():\n    print('planted', __file__)\n"
    wheel = write_wheel(
        tmp_path_factory.mktemp("wheel"),
        "planted",
        "1.0",
        files={"planted.py": source},
        scripts={"planted": "planted:main"},
    )
    return str(wheel)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the module's environments are kept."""
    return tmp_path_factory.mktemp("environments")


@pytest.fixture(scope="module")
def environment(folder: Path, wheel: str) -> TemplateEnvironment:
    """An environment with the planted package."""
    return ensure_template(folder, packages=[wheel])


def test_environment_is_built_once_and_found_again(
    environment: TemplateEnvironment, folder: Path, wheel: str
) -> None:
    """The same packages are the same folder, whatever their order; others are another."""
    before = environment.prefix.stat().st_mtime_ns
    assert ensure_template(folder, packages=[f" {wheel} ", wheel]) == environment
    assert environment.prefix.stat().st_mtime_ns == before
    other = ensure_template(folder, packages=[])
    assert other.prefix != environment.prefix
    assert other.packages == ()


def test_environment_is_compiled_and_readable_for_strangers(
    environment: TemplateEnvironment,
) -> None:
    """A sandbox's user is nobody on the host, and cannot write byte code itself."""
    modules = list(environment.prefix.glob("lib/python*/site-packages/__pycache__/planted.*.pyc"))
    assert len(modules) == 1
    for path in (environment.prefix, modules[0].parent, modules[0]):
        assert path.stat().st_mode & 0o005 or path.stat().st_mode & 0o004


def test_sandbox_sees_the_environment_at_usr_local(
    environment: TemplateEnvironment, tmp_path: Path
) -> None:
    """python is the environment's, its packages import, its commands run; those stay as they are.

    What is added is the sandbox's own: another one does not have it.
    """
    with asyncio.Runner() as runner:
        host = SandboxHost(tmp_path / "state", default_template=environment, pool_size=0)
        lab = Lab(runner, host, many_users=False)
        lab.do(host.__aenter__)
        try:
            guest = Guest(lab, lab.do(lambda: host.start("templated", template="any")))
            code = (
                "import planted, sys; print(sys.prefix, sys.version.split()[0], planted.__file__)"
            )
            place = f"/usr/local/lib/python{'.'.join(environment.version.split('.')[:2])}"
            expected = f"/usr/local {environment.version} {place}/site-packages/planted.py"
            for name in ("python", "python3", "/usr/local/bin/python"):
                assert guest.run(f"{name} -c '{code}'").text == expected
            assert guest.run("planted").text == f"planted {place}/site-packages/planted.py"
            spoil = f"echo > {place}/site-packages/planted.py"
            assert guest.run(spoil, user="root").exit_code != 0
            spoil = "echo > /usr/local/bin/planted; echo 'echo mine' > /usr/local/bin/more"
            assert guest.run(f"{spoil}; chmod +x /usr/local/bin/more; more").text == "mine"
            other = Guest(lab, lab.do(lambda: host.start("another", template="any")))
            assert other.run("planted").text == f"planted {place}/site-packages/planted.py"
            assert other.run("test -e /usr/local/bin/more").exit_code == 1
        finally:
            lab.do(lambda: host.__aexit__(None, None, None))


def test_unknown_package_is_broken_with_uvs_words_and_leaves_nothing(tmp_path: Path) -> None:
    """What uv says is passed on; no half-built environment stays."""
    with pytest.raises(BrokenError, match=r"no-such-file\.whl"):
        ensure_template(tmp_path / "environments", packages=[str(tmp_path / "no-such-file.whl")])
    left = [path.name for path in (tmp_path / "environments").iterdir()]
    assert all(name.endswith(".lock") for name in left)


def test_unknown_interpreter_is_broken(tmp_path: Path) -> None:
    """A Python that is not there is said so."""
    with pytest.raises(BrokenError, match="could not be built"):
        ensure_template(tmp_path, packages=[], python="/no/such/python")


def test_half_built_environment_is_not_used(tmp_path: Path, wheel: str) -> None:
    """Without its manifest a folder counts as nothing, and is built anew."""
    first = ensure_template(tmp_path, packages=[wheel])
    (first.prefix / "environment.json").unlink()
    (first.prefix / "bin" / "python").unlink()
    again = ensure_template(tmp_path, packages=[wheel])
    assert again == first
    assert (first.prefix / "bin" / "python").exists()


def test_environment_whose_interpreter_went_is_built_anew(tmp_path: Path) -> None:
    """An upgrade of the host's Python leaves a link to nothing behind."""
    first = ensure_template(tmp_path, packages=[])
    manifest = first.prefix / "environment.json"
    facts = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**facts, "python": "/gone/bin/python3"}))
    assert ensure_template(tmp_path, packages=[]) == first


def test_two_processes_build_the_same_once(tmp_path: Path, wheel: str) -> None:
    """The second waits for the first, and both get one whole environment."""
    command = [sys.executable, "-c", BUILD, str(tmp_path), wheel]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=200)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert said[0] == said[1]
    assert len([path for path in tmp_path.iterdir() if not path.name.startswith(".")]) == 1


def test_interpreter_below_usr_local_is_moved_out_of_the_way(tmp_path: Path) -> None:
    """The environment is mounted at /usr/local, so what was there is shown elsewhere."""

    def places(base: str) -> tuple[str | None, str]:
        found = TemplateEnvironment(
            prefix=tmp_path,
            base_prefix=Path(base),
            python=Path(base) / "bin" / "python3.12",
            version="3.12.1",
            packages=(),
        )
        return found.base_target, found.python_inside

    assert places("/usr/local") == ("/opt/python", "/opt/python/bin/python3.12")
    assert places("/usr") == (None, "/usr/bin/python3.12")
    assert places("/home/me/py") == ("/home/me/py", "/home/me/py/bin/python3.12")


def test_bare_environment_has_the_interpreters_names_only(tmp_path: Path) -> None:
    """No package, but python and python3 on the path."""
    bare = bare_environment(tmp_path / "bare")
    assert bare_environment(tmp_path / "bare") == bare
    names = sorted(path.name for path in (bare.prefix / "bin").iterdir())
    assert names == ["python", "python3"]
