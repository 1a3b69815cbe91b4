"""E2B's REST interface: sandboxes, their timeouts, listings, metrics and templates."""

from harness.emulator.control_plane.api import ControlPlane

__all__ = ["ControlPlane"]
