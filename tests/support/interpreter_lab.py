"""An emulator that runs code, in the place of the plain one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from harness.emulator.attach import Emulator
from harness.settings import Settings

__all__ = ["interpreter_emulators"]


@pytest.fixture(scope="module", name="_harness_emulators")
def interpreter_emulators(
    harness_settings: Settings,
) -> Iterator[Callable[[tuple[str, ...]], Emulator]]:
    """What `e2b_endpoint` takes its emulator from; started once for a module."""
    templates = harness_settings.testing_env / "templates"
    with Emulator("--interpreter", template_dir=templates) as emulator:
        yield lambda _packages: emulator
