"""What the parts of the isolation agree on: choices, limits and errors.

Values only. How a sandbox is started is `launch`, what one can be asked is
`sandbox`, who owns them all is `host`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

__all__ = [
    "GuestError",
    "IsolationMode",
    "Limits",
    "Network",
    "SandboxGoneError",
    "VolumeMount",
]

_GIB = 1024**3


class IsolationMode(StrEnum):
    """What stands between a sandbox and this machine."""

    BUBBLEWRAP = "bubblewrap"
    """Linux namespaces: own files, processes, users, host name and network."""
    PROCESS = "process"
    """No namespaces; `process_mode` lists what is then not hidden."""


class Network(StrEnum):
    """What a sandbox can reach."""

    NONE = "none"
    """Its own loopback and nothing else."""
    HOST = "host"
    """The network of this machine, loopback included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on what the processes of one sandbox may use.

    Attributes:
        processes: how many processes and threads each user of the sandbox may have.
        file_size_bytes: the largest file that a process may write.
        memory_bytes: private memory of one process; None leaves it to the machine.
        open_files: descriptors of one process.
    """

    processes: int = 2048
    file_size_bytes: int = 16 * _GIB
    memory_bytes: int | None = 8 * _GIB
    open_files: int = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeMount:
    """A folder of the host that a sandbox sees, and may write to.

    Attributes:
        source: on the host.
        target: absolute, as the sandbox names it.
    """

    source: Path
    target: str


class GuestError(Exception):
    """A call that the sandbox answered with an error.

    Args:
        code: a code of Connect, such as `not_found` or `invalid_argument`.
        message: the words for the client.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class SandboxGoneError(Exception):
    """The sandbox died, or was dead already, while a call was under way."""

    def __init__(self, sandbox_id: str) -> None:
        super().__init__(f"sandbox {sandbox_id} is gone")
        self.sandbox_id = sandbox_id
