"""What a sandbox must offer to Osiris: the libraries that its worker imports there.

Osiris uploads part of itself into the sandbox and then imports whatever the
component specifications name; its worker refuses to prepare a run where one of
them is missing. The pins are read out of the product's own environment, so that
both sides run the same libraries. What a specification names and the product does
not install (0.5.7: psycopg2) is resolved to a pin that fits the others.
Source: osiris 0.5.7 osiris/remote/e2b_transparent_proxy.py _upload_worker,
osiris/remote/proxy_worker.py handle_prepare.
"""

from __future__ import annotations

import ast
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

import yaml
from packaging.requirements import Requirement

from harness.errors import BrokenError
from harness.targets.osiris.environment import OsirisEnvironment, normalised, run_uv

__all__ = ["template_packages"]

_KEPT = "sandbox-packages.txt"
_UPLOADED = (
    "remote/proxy_worker.py",
    "remote/proxy_worker_runner.py",
    "remote/rpc_protocol.py",
    "core/driver.py",
    "core/execution_adapter.py",
    "core/redaction.py",
    "core/session_logging.py",
    "components/*.py",
    "connectors/**/*.py",
    "drivers/*.py",
)


def template_packages(environment: OsirisEnvironment) -> tuple[str, ...]:
    """Exact pins of what the product's worker imports inside a sandbox, sorted.

    What those libraries need in turn is pinned too. Worked out once for an
    environment and kept in it, so that a template does not change under it.

    Raises:
        BrokenError: if a component asks for a module that no package is named for, or
            a package that is to be added cannot be found.
    """
    kept = environment.folder / _KEPT
    if not kept.is_file():
        pins = _pins(environment)
        with tempfile.NamedTemporaryFile("w", dir=environment.folder, delete=False) as file:
            file.write("\n".join(pins))
        Path(file.name).replace(kept)
    return tuple(kept.read_text(encoding="utf-8").split())


def _pins(environment: OsirisEnvironment) -> tuple[str, ...]:
    installed = {
        normalised(item.metadata["Name"]): item
        for item in distributions(path=[str(environment.site_packages)])
    }
    providers = _providers(installed)
    roots: set[str] = set()
    added: set[str] = set()
    for component, asked in _requirements(environment.site_packages / "components").items():
        here = {providers[name] for name in asked.modules if name in providers}
        missing = asked.modules - providers.keys()
        elsewhere = {name for name in asked.packages if normalised(name) not in installed}
        if missing and not elsewhere:
            raise BrokenError(
                f"{component} asks for modules that nothing installs: {', '.join(sorted(missing))}",
                expected="each module of a component in a package that is installed or named",
                next_step="try another version of osiris-pipeline",
            )
        roots |= here
        added |= elsewhere if missing else set()
    used = _imports(environment.site_packages / "osiris")
    # A module that is uploaded but not installed is one of the product's optional imports.
    roots |= {providers[name] for name in used if name in providers}
    pins = {f"{name}=={installed[name].version}" for name in _closure(roots, installed)}
    return tuple(sorted(pins | _resolved(added, pins, environment)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Requirements:
    """What one component asks for: modules to import, packages to install."""

    modules: frozenset[str]
    packages: frozenset[str]


def _requirements(components: Path) -> dict[str, _Requirements]:
    """What each component specification asks for, but for the standard library's modules."""
    asked = {}
    for path in sorted(components.glob("*/spec.yaml")):
        spec = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        named = (spec.get("x-runtime") or {}).get("requirements") or {}
        modules = {str(name).partition(".")[0] for name in named.get("imports") or []}
        asked[path.parent.name] = _Requirements(
            modules=frozenset(modules - sys.stdlib_module_names),
            packages=frozenset(str(name) for name in named.get("packages") or []),
        )
    return asked


def _resolved(added: set[str], pins: set[str], environment: OsirisEnvironment) -> set[str]:
    """Pins for packages that the environment does not have, without touching the others."""
    if not added:
        return set()
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "wanted.in"
        wanted.write_text("\n".join(sorted(added | pins)), encoding="utf-8")
        options = ("--quiet", "--no-header", "--no-annotate", "--python", str(environment.python))
        finished = run_uv("pip", "compile", *options, str(wanted))
    return {line.partition(";")[0].strip() for line in finished.stdout.split("\n") if "==" in line}


def _imports(package: Path) -> frozenset[str]:
    """The top-level modules that the uploaded part of the product imports anywhere."""
    names: set[str] = set()
    for pattern in _UPLOADED:
        for path in package.glob(pattern):
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.Import):
                    names.update(alias.name.partition(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                    names.add(node.module.partition(".")[0])
    return frozenset(names - sys.stdlib_module_names - {"osiris"})


def _providers(installed: Mapping[str, Distribution]) -> dict[str, str]:
    """Which distribution brings a top-level module."""
    providers: dict[str, str] = {}
    for name, distribution in installed.items():
        for file in distribution.files or ():
            top = file.parts[0]
            if len(file.parts) > 1 and not top.endswith((".dist-info", ".data")) and top != "..":
                providers.setdefault(top, name)
            elif file.suffix in {".py", ".so"}:
                providers.setdefault(top.partition(".")[0], name)
    return providers


def _closure(roots: Iterable[str], installed: Mapping[str, Distribution]) -> frozenset[str]:
    """The distributions and everything that they require on this interpreter."""
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [(name, frozenset[str]()) for name in roots]
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen or name not in installed:
            continue
        seen.add((name, extras))
        for text in installed[name].requires or ():
            requirement = Requirement(text)
            if _applies(requirement, extras):
                waiting.append((normalised(requirement.name), frozenset(requirement.extras)))
    return frozenset(name for name, _ in seen)


def _applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras | {""})
