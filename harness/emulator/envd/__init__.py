"""envd as its clients see it: processes, files and watches over Connect and HTTP."""

from harness.emulator.envd.api import ENVD_PORT, Envd

__all__ = ["ENVD_PORT", "Envd"]
