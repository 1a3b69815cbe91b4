"""Virtual environments for clients: one for each set of requirements, built with uv.

A client's SDK has a version of its own, so it never shares an environment with the
harness. An environment is built once and kept.
"""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import distributions
from pathlib import Path

from harness.errors import UsageError
from harness.targets.osiris.environment import run_uv

__all__ = ["NEWEST", "ensure_client", "installed_version", "pinned"]

NEWEST = "newest"
_VERSION = re.compile(r"\d[0-9A-Za-z.+!-]*")


def pinned(package: str, version: str) -> str:
    """The requirement of one version; `newest` is asked of the index.

    Raises:
        UsageError: if the version is neither a version nor `newest`.
        BrokenError: if the index does not answer.
    """
    if version == NEWEST:
        with tempfile.TemporaryDirectory(prefix="harness-newest-") as folder:
            wanted = Path(folder) / "requirements.in"
            wanted.write_text(f"{package}\n", encoding="utf-8")
            answer = run_uv(
                *("pip", "compile", "--quiet", "--no-deps", "--no-header", "--no-annotate"),
                *("--python", sys.executable, str(wanted)),
            )
        return answer.stdout.strip()
    if not _VERSION.fullmatch(version):
        raise UsageError(
            f"not a version of {package}: {version!r}",
            expected=f"a version such as 2.45.1, or {NEWEST}",
            next_step="correct the version",
        )
    return f"{package}=={version}"


def ensure_client(folder: Path, name: str, requirements: Sequence[str]) -> Path:
    """The interpreter of an environment with these requirements, built at the first call.

    Builders of the same environment wait for each other, also across processes.

    Args:
        folder: where environments are kept.
        name: begins the environment's name; a digest of the requirements ends it.
        requirements: as pip names them.

    Raises:
        BrokenError: if uv cannot build it; the message ends in uv's last lines.
    """
    wanted = sorted(requirements)
    python = f"py{sys.version_info.major}.{sys.version_info.minor}"
    digest = hashlib.sha256("\n".join(wanted).encode()).hexdigest()[:10]
    home = folder.absolute() / f"{name}-{python}-{digest}"
    if not home.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not home.is_dir():
                _build(home, wanted)
    return home / "bin" / "python"


def installed_version(python: Path, package: str) -> str:
    """The version of a package in an environment; empty where it is not installed."""
    site_packages = next((python.parent.parent / "lib").glob("python3.*")) / "site-packages"
    for item in distributions(path=[str(site_packages)]):
        if item.metadata["Name"].lower().replace("_", "-") == package:
            return item.version
    return ""


def _build(home: Path, requirements: Sequence[str]) -> None:
    building = Path(tempfile.mkdtemp(prefix=f".building-{home.name}-", dir=home.parent))
    try:
        # Relocatable, because it is built beside its place and then renamed.
        environment = building / "env"
        run_uv("venv", "--quiet", "--relocatable", "--python", sys.executable, str(environment))
        python = str(environment / "bin" / "python")
        run_uv("pip", "install", "--quiet", "--python", python, *requirements)
        environment.rename(home)
    finally:
        shutil.rmtree(building, ignore_errors=True)
