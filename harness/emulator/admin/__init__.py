"""What no real service offers: reset, clock, faults, ledger, after-images."""

from harness.emulator.admin.api import TOKEN_HEADER, Admin

__all__ = ["TOKEN_HEADER", "Admin"]
