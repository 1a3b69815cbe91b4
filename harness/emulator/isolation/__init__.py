"""The inside of a sandbox, from the outside: start one, speak to it, end it."""

from harness.emulator.isolation.after_image import AfterImage, ImageEntry
from harness.emulator.isolation.host import SandboxHost
from harness.emulator.isolation.model import (
    GuestError,
    IsolationMode,
    Limits,
    Network,
    SandboxGoneError,
    VolumeMount,
)
from harness.emulator.isolation.sandbox import GuestStream, Sandbox

__all__ = [
    "AfterImage",
    "GuestError",
    "GuestStream",
    "ImageEntry",
    "IsolationMode",
    "Limits",
    "Network",
    "Sandbox",
    "SandboxGoneError",
    "SandboxHost",
    "VolumeMount",
    "copy_tree",
]
