"""What no real service offers: reset, clock, faults, ledger, after-images."""

from harness.emulator.admin.api import PREFIX, TOKEN_HEADER, Admin

__all__ = ["PREFIX", "TOKEN_HEADER", "Admin"]
