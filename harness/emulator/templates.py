"""Builds the Python environment that sandboxes of a template see at /usr/local."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.errors import BrokenError
from harness.installer import call_uv

__all__ = ["DEFAULT_PACKAGES", "TemplateEnvironment", "bare_environment", "ensure_template"]

DEFAULT_PACKAGES: tuple[str, ...] = (
    "duckdb",
    "numpy",
    "pandas",
    "pip",
    "pyarrow",
    "pyyaml",
    "requests",
)

_MOUNT = Path("/usr/local")
_MOVED_BASE = "/opt/python"
_RECIPE = 2  # goes up when an environment is built in another way
_LAST_LINES = 5
_MANIFEST = "environment.json"
_BUILD_TIMEOUT_S = 900
_ASK_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateEnvironment:
    """A finished environment on the host.

    Attributes:
        prefix: the folder that sandboxes see at /usr/local, its packages read-only; see
            `isolation.local_tree`.
        base_prefix: the installation of the interpreter behind it.
        python: the interpreter of the installation (not the environment's link to it).
        version: of Python, such as "3.11.7".
        packages: what was asked for.
    """

    prefix: Path
    base_prefix: Path
    python: Path
    version: str
    packages: tuple[str, ...]

    @property
    def moves_base(self) -> bool:
        """Whether the mount at /usr/local would hide the installation from sandboxes."""
        return self.base_prefix.is_relative_to(_MOUNT)

    @property
    def base_target(self) -> str | None:
        """Where sandboxes see `base_prefix`; None where /usr shows it already.

        That is its own path, unless the environment's mount hides it.
        """
        if self.moves_base:
            return _MOVED_BASE
        return None if self.base_prefix.is_relative_to("/usr") else str(self.base_prefix)

    @property
    def python_inside(self) -> str:
        """The interpreter as sandboxes name it."""
        if self.base_target is None:
            return str(self.python)
        return f"{self.base_target}/{self.python.relative_to(self.base_prefix)}"


def ensure_template(
    folder: Path, *, packages: Sequence[str] = DEFAULT_PACKAGES, python: str | None = None
) -> TemplateEnvironment:
    """The environment with these packages, built on first use.

    Args:
        folder: where environments are kept, one folder each, shared between processes.
        packages: requirements in pip's form.
        python: which interpreter (a version or a path); this one's base where left out.

    Raises:
        BrokenError: uv could not build it; with uv's last lines.
    """
    interpreter = python or str(_own_python())
    words = sorted({package.strip() for package in packages})
    recipe = json.dumps([_RECIPE, interpreter, sys.version, words])
    prefix = folder / hashlib.sha256(recipe.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with _lock(folder / f".{prefix.name}.lock"):
        found = _load(prefix)
        if found is None:
            shutil.rmtree(prefix, ignore_errors=True)
            _build(prefix, tuple(words), interpreter)
            found = _load(prefix)
    if found is None:
        raise BrokenError(
            f"the environment in {prefix} lost its interpreter while it was built",
            expected=f"that {interpreter} stays where it is",
            next_step="run the command again",
        )
    return found


def bare_environment(folder: Path) -> TemplateEnvironment:
    """An environment without packages: only this Python's names on PATH.

    Args:
        folder: is made where it is missing.
    """
    environment = TemplateEnvironment(
        prefix=folder,
        base_prefix=Path(sys.base_prefix).resolve(),
        python=_own_python(),
        version=".".join(map(str, sys.version_info[:3])),
        packages=(),
    )
    if not folder.is_dir():
        for name in ("bin", "sbin"):
            (folder / name).mkdir(parents=True, mode=0o755)
        for name in ("python", "python3"):
            (folder / "bin" / name).symlink_to(environment.python_inside)
        folder.chmod(0o755)
    return environment


def _own_python() -> Path:
    """The interpreter behind this one, even where this one is a virtual environment's."""
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    return Path(sys.base_prefix).resolve() / "bin" / name


def _load(prefix: Path) -> TemplateEnvironment | None:
    """A finished environment; None where there is none, or its interpreter is gone."""
    manifest = prefix / _MANIFEST
    if not manifest.is_file():
        return None
    facts = json.loads(manifest.read_text(encoding="utf-8"))
    if not Path(facts["python"]).exists():
        return None
    return TemplateEnvironment(
        prefix=prefix,
        base_prefix=Path(facts["base_prefix"]),
        python=Path(facts["python"]),
        version=facts["version"],
        packages=tuple(facts["packages"]),
    )


def _build(prefix: Path, packages: tuple[str, ...], interpreter: str) -> None:
    draft = Path(tempfile.mkdtemp(prefix=f".{prefix.name}-", dir=prefix.parent))
    try:
        _uv("venv", "--quiet", "--relocatable", "--allow-existing", "--no-project")(
            "--python", interpreter, str(draft)
        )
        python = draft / "bin" / "python"
        if packages:
            _uv("pip", "install", "--quiet", "--compile-bytecode")(
                "--python", str(python), *packages
            )
        (draft / "sbin").mkdir()  # the sandbox's own programs are mounted there
        facts = _ask(python)
        environment = TemplateEnvironment(
            prefix=draft,
            base_prefix=Path(facts["base_prefix"]),
            python=Path(facts["python"]),
            version=facts["version"],
            packages=packages,
        )
        _point_inside(draft, environment)
        manifest = json.dumps({**facts, "packages": packages}, indent=1)
        (draft / _MANIFEST).write_text(manifest, encoding="utf-8")
        draft.chmod(0o755)
        draft.rename(prefix)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _uv(*command: str) -> Callable[..., None]:
    def run(*arguments: str) -> None:
        try:
            call_uv(
                *command,
                *arguments,
                timeout_s=_BUILD_TIMEOUT_S,
                umask=0o022,  # a sandbox's user is a stranger to these files
            ).check_returncode()
        except subprocess.CalledProcessError as error:
            said = " | ".join(error.stderr.strip().splitlines()[-_LAST_LINES:])
            raise _unbuilt(f"uv {' '.join(command[:2])}: {said}") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _unbuilt(str(error)) from error

    return run


def _unbuilt(why: str) -> BrokenError:
    return BrokenError(
        f"the sandboxes' Python environment could not be built: {why}",
        expected="that uv can fetch the template's packages, from a package index or its cache",
        next_step="check the package names and the network, then run the command again",
    )


def _ask(python: Path) -> dict[str, str]:
    code = "import json, sys; print(json.dumps([sys.base_prefix, sys.version.split()[0]]))"
    command = [str(python), "-I", "-c", code]
    try:
        said = subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=_ASK_TIMEOUT_S
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise _unbuilt(f"its interpreter does not run: {error}") from error
    base_prefix, version = json.loads(said)
    base = Path(base_prefix).resolve()
    name = "python" + ".".join(version.split(".")[:2])
    return {"base_prefix": str(base), "python": str(base / "bin" / name), "version": version}


def _point_inside(draft: Path, environment: TemplateEnvironment) -> None:
    """Makes the links to the interpreter true for sandboxes, where they see it elsewhere."""
    if not environment.moves_base:
        return
    link = draft / "bin" / "python"
    link.unlink()
    link.symlink_to(environment.python_inside)
    # A shared libpython is looked for at /usr/local/lib, by the loader's cache or a fixed rpath.
    for library in (environment.base_prefix / "lib").glob("libpython*.so*"):
        (draft / "lib" / library.name).symlink_to(f"{_MOVED_BASE}/lib/{library.name}")
    config = draft / "pyvenv.cfg"
    lines = [
        f"home = {_MOVED_BASE}/bin" if line.startswith("home") else line
        for line in config.read_text(encoding="utf-8").splitlines()
    ]
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Lets one process at a time pass; the kernel frees it when the holder dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
