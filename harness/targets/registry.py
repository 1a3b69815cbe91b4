"""Finds a target by its name: the entry points of the group `harness.targets`.

Another package adds a target by declaring an entry point in that group; the
harness itself declares `osiris`.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from harness.errors import BrokenError, UsageError
from harness.ports import Target
from harness.settings import Settings

__all__ = ["GROUP", "load_target", "target_names"]

GROUP = "harness.targets"


def target_names() -> tuple[str, ...]:
    """The names of every installed target, sorted."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def load_target(
    name: str, *, settings: Settings, version: str | None = None, sdk: str | None = None
) -> Target:
    """The target of that name, ready to be asked.

    Args:
        name: the entry point's name, such as "osiris".
        settings: what the run was told; the target keeps its environments below
            `settings.testing_env`.
        version: the product's version; the target's default where it is left out.
        sdk: the SDK that carries the product ("e2b-code-interpreter==2.11.5"); the
            target's default where it is left out.

    Raises:
        UsageError: if no target has that name; the message lists those that are there.
        BrokenError: if the target is declared but cannot be imported.
    """
    points: dict[str, EntryPoint] = {point.name: point for point in entry_points(group=GROUP)}
    if name not in points:
        known = ", ".join(sorted(points)) or "none"
        raise UsageError(
            f"unknown target: {name!r}",
            expected=f"one of the installed targets: {known}",
            next_step="install the package that declares it as an entry point of harness.targets",
        )
    try:
        factory = points[name].load()
    except (ImportError, AttributeError) as error:
        raise BrokenError(
            f"target {name!r} cannot be loaded from {points[name].value}: {error}",
            expected="an importable class that takes settings, version and sdk",
            next_step="reinstall the package that declares it",
        ) from error
    target: Target = factory(settings=settings, version=version, sdk=sdk)
    return target
