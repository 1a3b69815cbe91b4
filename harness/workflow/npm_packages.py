"""Packages of npm, each set in a folder of its own, installed once whoever asks first."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

__all__ = ["NPM_TIMEOUT_S", "install_npm_packages"]

NPM_TIMEOUT_S = 300.0
# npm writes it last: what was cut short has none.
_WHOLE = Path("node_modules") / ".package-lock.json"


def install_npm_packages(
    home: Path,
    packages: Sequence[str],
    *,
    renewed: bool = False,
    timeout_s: float = NPM_TIMEOUT_S,
) -> str | None:
    """Installs packages into `home`; None where they are there, otherwise why they are not.

    Args:
        home: the folder that gets `node_modules`; its parent gets a lock.
        packages: as npm names them, such as `e2b@2.51.0`.
        renewed: also where they are there already; for what is not pinned.
        timeout_s: how long npm may take.
    """
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return "node and npm are not installed: install Node.js 20 or newer"
    home.mkdir(parents=True, exist_ok=True)
    with (home.parent / f".{home.name}.lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (home / _WHOLE).is_file() and not renewed:
            return None
        return _install(npm, home, packages, timeout_s)


def _install(npm: str, home: Path, packages: Sequence[str], timeout_s: float) -> str | None:
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(home)]
    try:
        finished = subprocess.run(
            [*command, *packages],
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return f"npm did not install {packages[0]} within {timeout_s:g} s"
    if finished.returncode != 0:
        said = finished.stderr.strip().splitlines() or ["it said nothing"]
        errors = [line for line in said if line.startswith(("npm error", "npm ERR!"))]
        return f"npm did not install {packages[0]}: {(errors or said[-1:])[0]}"
    return None
