"""What npm installs is there once and whole, and where it is not there it is said why."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.workflow.npm_packages import install_npm_packages

NPM = """#!/bin/sh
echo "$@" >> "{calls}"
while [ "$1" != --prefix ]; do shift; done
mkdir -p "$2/node_modules"
{then}
"""
WHOLE = 'echo "{}" > "$2/node_modules/.package-lock.json"'


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which a test may put its own npm; its calls are in `calls`."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    _program(programs / "node", "#!/bin/sh\n")
    return programs


def _program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def _npm(folder: Path, then: str) -> None:
    text = NPM.replace("{calls}", str(folder / "calls")).replace("{then}", then)
    _program(folder / "npm", text)


def test_packages_are_installed_once_whoever_asks(npm: Path, tmp_path: Path) -> None:
    """Also at the same time; what is not pinned is asked for again."""
    _npm(npm, f"sleep 0.1; {WHOLE}")
    home = tmp_path / "clients" / "one"
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: install_npm_packages(home, ["a@1", "b@2"]), range(4)))
    assert found == [None] * 4
    [call] = (npm / "calls").read_text().splitlines()
    assert call.endswith(f"--prefix {home} a@1 b@2")
    assert install_npm_packages(home, ["a@latest"], renewed=True) is None
    assert len((npm / "calls").read_text().splitlines()) == 2


def test_installation_that_was_cut_short_is_begun_again(npm: Path, tmp_path: Path) -> None:
    """A folder without npm's last word is not taken for whole."""
    home = tmp_path / "clients" / "one"
    _npm(npm, "echo npm warn slow >&2; echo npm error code ENOTFOUND >&2; exit 1")
    told = install_npm_packages(home, ["a@1"])
    assert told == "npm did not install a@1: npm error code ENOTFOUND"
    _npm(npm, "exec sleep 60")
    told = install_npm_packages(home, ["a@1"], timeout_s=0.2)
    assert told == "npm did not install a@1 within 0.2 s"
    _npm(npm, WHOLE)
    assert install_npm_packages(home, ["a@1"]) is None


def test_machine_without_npm_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is made there."""
    monkeypatch.setenv("PATH", str(tmp_path))
    told = install_npm_packages(tmp_path / "one", ["a@1"])
    assert told == "node and npm are not installed: install Node.js 20 or newer"
    assert list(tmp_path.iterdir()) == []
