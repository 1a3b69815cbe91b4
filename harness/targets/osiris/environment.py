"""The product's own virtual environment: one per version and SDK, built with uv.

The product never shares an environment with the harness, so that its
libraries, and those of its sandbox template, are its own choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "DEFAULT_SDK",
    "DEFAULT_VERSION",
    "OsirisEnvironment",
    "ensure_environment",
    "template_packages",
]

# Pinned in pyproject.toml [tool.harness.osiris]; a test holds the two equal, because
# an installed wheel has no pyproject.toml.
DEFAULT_VERSION = "0.5.7"
DEFAULT_SDK = "e2b-code-interpreter==2.11.5"


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


def ensure_environment(folder: Path, *, version: str, sdk: str) -> OsirisEnvironment:
    """The environment of that version and SDK, built at the first call.

    Args:
        folder: where environments are kept; one subfolder each.
        version: of osiris-pipeline, such as "0.5.7".
        sdk: the SDK as a requirement ("e2b-code-interpreter==2.11.5") or as its bare version.

    Raises:
        UsageError: if there is no such version; the message names those that exist.
        BrokenError: if uv cannot build it; the message ends in uv's last lines.
    """
    raise NotImplementedError


def template_packages(environment: OsirisEnvironment) -> tuple[str, ...]:
    """Exact pins of what the product's worker imports inside a sandbox, sorted.

    They are read out of the environment, so that both sides run equal libraries.

    Raises:
        BrokenError: if the environment lacks something that a component asks for.
    """
    raise NotImplementedError
