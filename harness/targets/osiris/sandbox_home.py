"""Which files in a sandbox's home are the pipeline's own output.

All else there is the template's or was uploaded by Osiris.
Source: osiris 0.5.7 osiris/remote/e2b_transparent_proxy.py _upload_worker,
_generate_commands_file; E2B's template code-interpreter-v1 for the dotfiles.
"""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath

__all__ = ["copy_sandbox_outputs", "is_output"]

_UPLOADED_FOLDERS = frozenset({"session", "osiris", "components"})
_UPLOADED_FILES = frozenset(
    {"proxy_worker.py", "proxy_worker_runner.py", "rpc_protocol.py", "commands.jsonl"}
)
_TEMPLATE = frozenset(
    {
        ".bash_history",
        ".bash_logout",
        ".bashrc",
        ".cache",
        ".config",
        ".ipython",
        ".jupyter",
        ".local",
        ".npm",
        ".profile",
        ".python_history",
        ".sudo_as_admin_successful",
        ".wget-hsts",
        "__pycache__",
    }
)


def is_output(path: PurePosixPath) -> bool:
    """Whether a file is the pipeline's own.

    Args:
        path: relative to /home/user.
    """
    top = path.parts[0]
    if top in _TEMPLATE or top in _UPLOADED_FOLDERS:
        return False
    return not (len(path.parts) == 1 and top in _UPLOADED_FILES)


def copy_sandbox_outputs(home: Path, destination: Path) -> frozenset[str]:
    """Copies the pipeline's own files out of an unpacked home, by the same relative paths.

    Returns:
        The paths.
    """
    copied = set()
    for path in sorted(home.rglob("*")):
        name = PurePosixPath(path.relative_to(home))
        if path.is_file() and is_output(name):
            target = destination / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
            copied.add(name.as_posix())
    return frozenset(copied)
