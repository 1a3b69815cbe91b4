"""E2B's public suites: taken from a checkout, sorted by area, with what is left out.

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
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from harness.emulator.admin.unpack import unpack_tar
from harness.errors import BrokenError, UsageError

__all__ = [
    "CODE_INTERPRETER",
    "PYTHON_SDK",
    "LeftOut",
    "Origin",
    "Sorting",
    "Suite",
    "digest_of",
    "take_package",
    "take_suite",
]

WANTED = ("tests", "pytest.ini", "pyproject.toml")
_LOCK = "poetry.lock"
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
class Origin:
    """Where a public suite comes from, and how it is run.

    Attributes:
        repository: on GitHub.
        package: the folder of the package whose tests they are.
        distribution: what the index calls that package.
        areas: the list of areas, a file of this package.
        left_out: the list of tests that are not counted, a file of this package.
        interpreter: whether its tests run code.
        lock: whether the package names its dependencies' versions in a file of its own.
        workers: how many processes run tests unless somebody says otherwise.
    """

    repository: str
    package: str
    distribution: str
    areas: str
    left_out: str
    interpreter: bool = False
    lock: bool = False
    workers: int = 16


PYTHON_SDK = Origin(
    repository="e2b-dev/E2B",
    package="packages/python-sdk",
    distribution="e2b",
    areas="conformance_areas.toml",
    left_out="conformance_left_out.toml",
)
CODE_INTERPRETER = Origin(
    repository="e2b-dev/code-interpreter",
    package="python",
    distribution="e2b-code-interpreter",
    areas="conformance_interpreter_areas.toml",
    left_out="conformance_interpreter_left_out.toml",
    interpreter=True,
    lock=True,  # its versions do not work with each later e2b
    workers=4,  # each sandbox starts a Python of its own that imports pandas
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A suite that lies ready to be run.

    Attributes:
        folder: pytest's root; holds `tests` and `pytest.ini`.
        version: of the SDK that the checkout was made for.
        requirements: what its tests need beside the SDK.
        digest: tells two suites apart.
        locked: what the SDK of that version was tested with, where the checkout says so.
    """

    folder: Path
    version: str
    requirements: tuple[str, ...]
    digest: str
    locked: tuple[str, ...] = ()


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
        httpbin: the areas whose tests need a template called `httpbin`.
        deny_only: patterns of tests that only show that something is out of reach.
    """

    areas: tuple[tuple[str, tuple[str, ...]], ...]
    left_out: tuple[LeftOut, ...]
    by_name: frozenset[str] = frozenset()
    httpbin: frozenset[str] = frozenset()
    deny_only: tuple[str, ...] = ()

    @classmethod
    def load(cls, origin: Origin = PYTHON_SDK) -> Sorting:
        """The lists that come with this package."""
        document = _toml(origin.areas)
        areas = document["area"]
        left_out = _toml(origin.left_out).get("left_out", ())
        return cls(
            areas=tuple((area["name"], tuple(area["tests"])) for area in areas),
            left_out=tuple(LeftOut(tests=row["tests"], reason=row["reason"]) for row in left_out),
            by_name=frozenset(area["name"] for area in areas if area.get("by_name", False)),
            httpbin=frozenset(area["name"] for area in areas if area.get("httpbin", False)),
            deny_only=tuple(document.get("deny_only", ())),
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

    def needs_httpbin(self, nodeid: str) -> bool:
        """Whether a test starts a sandbox from a template called `httpbin`."""
        return self.area(nodeid) in self.httpbin

    def only_denies(self, nodeid: str) -> bool:
        """Whether a test only shows that something is out of reach."""
        return any(fnmatch.fnmatchcase(nodeid, pattern) for pattern in self.deny_only)

    def why_left_out(self, nodeid: str) -> str | None:
        """The reason for leaving a test out; None where it counts."""
        for row in self.left_out:
            if fnmatch.fnmatchcase(nodeid, row.tests):
                return row.reason
        return None


def take_suite(
    checkout: Path, into: Path, *, ref: str | None = None, origin: Origin = PYTHON_SDK
) -> Suite:
    """Copies a checkout's tests.

    Args:
        checkout: a work tree of the origin's repository, or a git repository of it, bare or not.
        into: an empty folder.
        ref: a tag or commit to take instead of the work tree; a bare repository's
            HEAD where it is left out.
        origin: whose tests they are.

    Raises:
        UsageError: if the suite is not there.
    """
    wanted = (*WANTED, _LOCK) if origin.lock else WANTED
    take_package(checkout, into, origin, wanted, ref=ref)
    manifest = into / "pyproject.toml"
    document = tomllib.loads(manifest.read_text(encoding="utf-8")) if manifest.is_file() else {}
    manifest.unlink(missing_ok=True)  # it would make pytest's root a project of its own
    locked = _locked(into / _LOCK)
    return Suite(
        folder=into,
        version=str(_version(document)),
        requirements=_requirements(document),
        digest=digest_of(into),
        locked=locked,
    )


def take_package(
    checkout: Path, into: Path, origin: Origin, wanted: Sequence[str], *, ref: str | None
) -> None:
    """Copies files and folders of an origin's package; arguments as `take_suite` has them.

    Raises:
        UsageError: if the package is not there.
    """
    package = checkout / origin.package
    if ref is None and (package / "tests").is_dir():
        archive = _packed(package, wanted)
    else:
        archive = _archive(checkout, ref or "HEAD", origin, wanted)
    # Not extractall with a filter: Python 3.11 has that since 3.11.4 only.
    unpack_tar(io.BytesIO(archive), into)


def _packed(package: Path, wanted: Sequence[str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in wanted:
            if (package / name).exists():
                tar.add(package / name, name, filter=_without_caches)
    return buffer.getvalue()


def _without_caches(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in member.name else member


def _archive(repository: Path, ref: str, origin: Origin, wanted: Sequence[str]) -> bytes:
    # A repository that another user owns is only read from here.
    git = ["git", "-c", f"safe.directory={repository.absolute()}", "-C", str(repository)]
    command = [*git, "archive", "--format=tar", f"{ref}:{origin.package}", *wanted]
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
            expected=f"a checkout or repository of {origin.repository} with {origin.package}/tests",
            next_step=f"git clone https://github.com/{origin.repository}, or name a tag with --ref",
        )
    return finished.stdout


def _version(document: dict[str, Any]) -> object:
    poetry = document.get("tool", {}).get("poetry", {})
    return document.get("project", poetry).get("version", "")


def _requirements(document: dict[str, Any]) -> tuple[str, ...]:
    """The test packages of the manifest's group `dev`, whichever tool reads it."""
    poetry = document.get("tool", {}).get("poetry", {}).get("group", {}).get("dev", {})
    lines = [
        f"{name}>={version.removeprefix('^')}"
        for name, version in poetry.get("dependencies", {}).items()
        if isinstance(version, str)
    ]
    found = []
    for line in (*document.get("dependency-groups", {}).get("dev", ()), *lines):
        try:
            requirement = Requirement(line)
        except (InvalidRequirement, TypeError):
            continue  # an include of another group
        if requirement.name.startswith(TEST_PACKAGES):
            found.append(str(requirement))
    return tuple(found) or DEFAULT_REQUIREMENTS


def _locked(file: Path) -> tuple[str, ...]:
    """The version of `e2b` that a lock names; the file is taken away."""
    if not file.is_file():
        return ()
    packages = tomllib.loads(file.read_text(encoding="utf-8")).get("package", ())
    file.unlink()
    return tuple(f"e2b=={row['version']}" for row in packages if row.get("name") == "e2b")


def digest_of(folder: Path) -> str:
    """Tells two folders apart by their files' names and bytes."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads(files("harness.workflow").joinpath(name).read_text(encoding="utf-8"))
