"""E2B's public Python suite: taken from a checkout, sorted by area, with what is left out.

Only its tests are taken, never the sources beside them: the SDK under test is the
one that the index has.
"""

from __future__ import annotations

import fnmatch
import hashlib
import io
import subprocess
import tarfile
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from harness.errors import BrokenError, UsageError

__all__ = ["LeftOut", "Sorting", "Suite", "take_suite"]

PACKAGE = "packages/python-sdk"
WANTED = ("tests", "pytest.ini", "pyproject.toml")
TEST_PACKAGES = ("pytest", "python-dotenv")
OTHER_AREA = "other"
# Where a checkout's manifest does not name them (before 2.27).
DEFAULT_REQUIREMENTS = (
    "pytest>=8",
    "pytest-asyncio>=0.24",
    "pytest-timeout>=2.4",
    "pytest-xdist>=3.3.1",
    "python-dotenv>=1.0.0",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A suite that lies ready to be run.

    Attributes:
        folder: pytest's root; holds `tests` and `pytest.ini`.
        version: of the SDK that the checkout was made for.
        requirements: what its tests need beside the SDK.
        digest: tells two suites apart.
    """

    folder: Path
    version: str
    requirements: tuple[str, ...]
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Tests that an emulator on one machine cannot pass, and why.

    Attributes:
        tests: a pattern of node ids, as fnmatch reads it.
        reason: what stands in the way.
    """

    tests: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorting:
    """How tests are sorted into areas, and which are left out.

    Attributes:
        areas: name and patterns, the first that fits counts.
        left_out: the list, with a reason each.
        by_name: the areas whose tests ask for sandboxes by public host names.
    """

    areas: tuple[tuple[str, tuple[str, ...]], ...]
    left_out: tuple[LeftOut, ...]
    by_name: frozenset[str] = frozenset()

    @classmethod
    def load(cls) -> Sorting:
        """The lists that come with this package."""
        areas = _toml("conformance_areas.toml")["area"]
        left_out = _toml("conformance_left_out.toml")["left_out"]
        return cls(
            areas=tuple((area["name"], tuple(area["tests"])) for area in areas),
            left_out=tuple(LeftOut(tests=row["tests"], reason=row["reason"]) for row in left_out),
            by_name=frozenset(area["name"] for area in areas if area.get("by_name", False)),
        )

    def area(self, nodeid: str) -> str:
        """The area of a test; "other" where none fits."""
        for name, patterns in self.areas:
            if any(fnmatch.fnmatchcase(nodeid, pattern) for pattern in patterns):
                return name
        return OTHER_AREA

    def is_by_name(self, nodeid: str) -> bool:
        """Whether a test asks for a sandbox by its public host name."""
        return self.area(nodeid) in self.by_name

    def why_left_out(self, nodeid: str) -> str | None:
        """The reason for leaving a test out; None where it counts."""
        for row in self.left_out:
            if fnmatch.fnmatchcase(nodeid, row.tests):
                return row.reason
        return None


def take_suite(checkout: Path, into: Path, *, ref: str | None = None) -> Suite:
    """Copies a checkout's tests.

    Args:
        checkout: a work tree of e2b-dev/E2B or a git repository of it, bare or not.
        into: an empty folder.
        ref: a tag or commit to take instead of the work tree; a bare repository's
            HEAD where it is left out.

    Raises:
        UsageError: if the suite is not there.
    """
    package = checkout / PACKAGE
    if ref is None and (package / "tests").is_dir():
        archive = _packed(package)
    else:
        archive = _archive(checkout, ref or "HEAD")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(into, filter="data")
    manifest = into / "pyproject.toml"
    document = tomllib.loads(manifest.read_text(encoding="utf-8")) if manifest.is_file() else {}
    manifest.unlink(missing_ok=True)  # it would make pytest's root a project of its own
    return Suite(
        folder=into,
        version=str(_version(document)),
        requirements=_requirements(document),
        digest=_digest(into),
    )


def _packed(package: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in WANTED:
            if (package / name).exists():
                tar.add(package / name, name, filter=_without_caches)
    return buffer.getvalue()


def _without_caches(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in member.name else member


def _archive(repository: Path, ref: str) -> bytes:
    command = ["git", "-C", str(repository), "archive", "--format=tar", f"{ref}:{PACKAGE}", *WANTED]
    try:
        finished = subprocess.run(command, check=False, capture_output=True)
    except OSError as error:
        raise BrokenError(
            f"git cannot be run: {error}",
            expected="git on PATH, to read a tag of the repository",
            next_step="install git, or give a work tree",
        ) from error
    if finished.returncode != 0:
        said = finished.stderr.decode(errors="replace").strip().splitlines() or ["git said nothing"]
        raise UsageError(
            f"no suite in {repository} at {ref}: {said[-1]}",
            expected=f"a checkout or repository of e2b-dev/E2B with {PACKAGE}/tests",
            next_step="git clone https://github.com/e2b-dev/E2B, or name a tag with --ref",
        )
    return finished.stdout


def _version(document: dict[str, Any]) -> object:
    poetry = document.get("tool", {}).get("poetry", {})
    return document.get("project", poetry).get("version", "")


def _requirements(document: dict[str, Any]) -> tuple[str, ...]:
    """The test packages of the manifest's group `dev`."""
    found = []
    for line in document.get("dependency-groups", {}).get("dev", ()):
        try:
            requirement = Requirement(line)
        except (InvalidRequirement, TypeError):
            continue  # an include of another group
        if requirement.name.startswith(TEST_PACKAGES):
            found.append(str(requirement))
    return tuple(found) or DEFAULT_REQUIREMENTS


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads(files("harness.workflow").joinpath(name).read_text(encoding="utf-8"))
