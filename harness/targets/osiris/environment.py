"""The product's own virtual environment: one per version and SDK, built with uv.

The product never shares an environment with the harness, so that its libraries,
and those of its sandbox template, are its own choice. What the template needs is
worked out in `sandbox_packages`.
"""

from __future__ import annotations

import fcntl
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from harness.clock import SystemClock
from harness.errors import BrokenError, HarnessError, UsageError
from harness.installer import call_uv

__all__ = ["DEFAULT_SDK", "DEFAULT_VERSION", "OsirisEnvironment", "ensure_environment"]

# Pinned in pyproject.toml [tool.harness.osiris]; a test holds the two equal, because
# an installed wheel has no pyproject.toml.
DEFAULT_VERSION = "0.5.7"
DEFAULT_SDK = "e2b-code-interpreter==2.11.5"

PRODUCT = "osiris-pipeline"
SDK = "e2b-code-interpreter"
BUILD_TIMEOUT_S = 900.0
_LAST_LINES = 8
_VERSION = re.compile(r"\d[0-9A-Za-z.+!-]*")
_REQUIREMENT = re.compile(rf"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>{_VERSION.pattern})")


@dataclass(frozen=True, slots=True, kw_only=True)
class OsirisEnvironment:
    """A virtual environment that holds Osiris and the SDK.

    Attributes:
        folder: the environment's root.
        python: its interpreter.
        osiris: the product's command line.
        version: of osiris-pipeline.
        sdk_version: of the SDK package that was asked for.
        packages: every installed distribution: normalised name -> version.
    """

    folder: Path
    python: Path
    osiris: Path
    version: str
    sdk_version: str
    packages: Mapping[str, str]

    @property
    def site_packages(self) -> Path:
        """Where its distributions lie."""
        return next((self.folder / "lib").glob("python3.*")) / "site-packages"


def ensure_environment(folder: Path, *, version: str, sdk: str) -> OsirisEnvironment:
    """The environment of that version and SDK, built at the first call.

    Builders of the same environment wait for each other, also across processes; a
    build that is cut short leaves nothing that is taken for an environment.

    Args:
        folder: where environments are kept; one subfolder each.
        version: of osiris-pipeline, such as "0.5.7".
        sdk: the SDK as a requirement ("e2b-code-interpreter==2.11.5") or as its bare version.

    Raises:
        UsageError: if there is no such version; the message names those that exist.
        BrokenError: if uv cannot build it; the message ends in uv's last lines.
    """
    if not _VERSION.fullmatch(version):
        raise _not_a_version(f"version of {PRODUCT}", version, DEFAULT_VERSION)
    requirement = sdk if "==" in sdk else f"{SDK}=={sdk}"
    match = _REQUIREMENT.fullmatch(requirement)
    if match is None:
        raise _not_a_version("SDK", sdk, DEFAULT_SDK)
    python = f"py{sys.version_info.major}.{sys.version_info.minor}"
    name = f"osiris-{version}_{match['name']}-{match['version']}_{python}"
    home = folder.absolute() / name
    if not home.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        with _only_builder(folder.absolute() / ".lock"):
            if not home.is_dir():
                _build(home, [f"{PRODUCT}=={version}", requirement])
    return _described(home, version=version, sdk_version=match["version"])


def normalised(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def run_uv(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs uv in the caller's environment: indexes, proxies and cache are the caller's.

    Raises:
        BrokenError: if uv cannot be run or does not end, and, with `check`, if it fails;
            the message ends in uv's last lines.
    """
    try:
        finished = call_uv(*arguments, timeout_s=BUILD_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BrokenError(
            f"uv {arguments[0]} did not finish: {error}",
            expected=f"uv to answer within {BUILD_TIMEOUT_S:g} s",
            next_step="check the network and the package index, then run again",
        ) from error
    if check and finished.returncode != 0:
        raise _uv_failed(finished.stderr)
    return finished


def _described(home: Path, *, version: str, sdk_version: str) -> OsirisEnvironment:
    site_packages = next((home / "lib").glob("python3.*")) / "site-packages"
    packages = {
        normalised(item.metadata["Name"]): item.version
        for item in distributions(path=[str(site_packages)])
    }
    return OsirisEnvironment(
        folder=home,
        python=home / "bin" / "python",
        osiris=home / "bin" / "osiris",
        version=version,
        sdk_version=sdk_version,
        packages=dict(sorted(packages.items())),
    )


def _build(home: Path, requirements: list[str]) -> None:
    for left_over in home.parent.glob(f".building-{home.name}-*"):
        shutil.rmtree(left_over)  # the lock is held, so its builder is gone
    building = Path(tempfile.mkdtemp(prefix=f".building-{home.name}-", dir=home.parent))
    try:
        # Relocatable, because it is built beside its place and then renamed.
        run_uv(
            "venv", "--quiet", "--relocatable", "--python", sys.executable, str(building / "env")
        )
        python = str(building / "env" / "bin" / "python")
        install = ["pip", "install", "--quiet", "--compile-bytecode", "--python", python]
        finished = run_uv(*install, *requirements, check=False)
        if finished.returncode != 0:
            raise _build_failed(finished.stderr, requirements, python)
        (building / "env").rename(home)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _build_failed(stderr: str, requirements: list[str], python: str) -> HarnessError:
    """A version that the index does not have is the caller's word; all else is broken."""
    said = " ".join(stderr.split())
    for requirement in requirements:
        name, version = requirement.split("==")
        if f"there is no version of {requirement}" in said:
            return UsageError(
                f"unknown version of {name}: {version}",
                expected=f"a version that the index has: {_known_versions(name, python)}",
                next_step="correct the version",
            )
        if re.search(rf"{re.escape(name)} was not found in the (package|provided)", said):
            return UsageError(
                f"unknown package: {name}",
                expected="a package that the index has",
                next_step="correct the requirement, or check the index that uv uses",
            )
    return _uv_failed(stderr)


def _known_versions(name: str, python: str) -> str:
    """What uv says exists, as bounds; it says so of a version that cannot exist."""
    bounds: list[str] = []
    for impossible in (f"{name}<0", f"{name}>999999"):
        finished = run_uv(
            "pip", "install", "--dry-run", "--python", python, impossible, check=False
        )
        found = re.search(r"only (.+?) (?:is|are) available", " ".join(finished.stderr.split()))
        if found and found[1] not in bounds:
            bounds.append(found[1])
    return ", ".join(bounds) or "uv does not say which"


def _uv_failed(stderr: str) -> BrokenError:
    lines = [line.rstrip() for line in stderr.splitlines() if line.strip()]
    return BrokenError(
        "the environment of Osiris cannot be built; uv said: "
        + " | ".join(lines[-_LAST_LINES:] or ["nothing"]),
        expected="a package index within reach, and room on the disk",
        next_step="check the network (or UV_INDEX_URL, UV_OFFLINE), then run again",
    )


def _not_a_version(what: str, value: str, example: str) -> UsageError:
    return UsageError(
        f"not a {what}: {value!r}",
        expected=f"an exact version, such as {example}",
        next_step="correct the version",
    )


@contextmanager
def _only_builder(lock: Path) -> Iterator[None]:
    """Holds the lock file; waits for another builder as long as a build may take."""
    clock, pause = SystemClock(), threading.Event()
    until_s = clock.monotonic_s() + BUILD_TIMEOUT_S
    with lock.open("w", encoding="ascii") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if clock.monotonic_s() >= until_s:
                    raise BrokenError(
                        f"another process has been building for {BUILD_TIMEOUT_S:g} s: {lock}",
                        expected="its build to end",
                        next_step="end that process, then run again",
                    ) from error
                pause.wait(0.1)
        yield
