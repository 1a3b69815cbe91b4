"""Builds the Python environment that sandboxes of a template see at /usr/local."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DEFAULT_PACKAGES", "TemplateEnvironment", "ensure_template"]

DEFAULT_PACKAGES: tuple[str, ...] = (
    "duckdb",
    "numpy",
    "pandas",
    "pyarrow",
    "pyyaml",
    "requests",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateEnvironment:
    """A finished environment on the host.

    Attributes:
        prefix: the folder that is mounted read-only at /usr/local.
        base_prefix: the installation of the interpreter behind it, mounted at its own path.
        python: the interpreter of the installation (not the environment's link to it).
        version: of Python, such as "3.11.7".
        packages: what was asked for.
    """

    prefix: Path
    base_prefix: Path
    python: Path
    version: str
    packages: tuple[str, ...]


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
    raise NotImplementedError
