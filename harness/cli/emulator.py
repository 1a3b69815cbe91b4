"""`harness emulator`: see `harness.emulator.command`."""

from harness.emulator.command import app

__all__ = ["app"]
