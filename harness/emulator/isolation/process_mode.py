"""Turns a sandbox into a job for the launcher without any namespace.

For machines that refuse namespaces, and only by explicit choice: `LOSSES` is what is
then not kept. The agent moves the sandbox's homes into its own folder.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.emulator.isolation.bubblewrap import resource_limits
from harness.emulator.isolation.launch import LISTENER_FD, Job
from harness.emulator.isolation.layout import Layout, agent_code
from harness.emulator.isolation.model import Limits, VolumeMount
from harness.errors import BrokenError

__all__ = ["LOSSES", "ProcessMode"]

LOSSES = (
    "the host's files are visible, and writable where its user may write; /tmp is shared",
    "the host's processes are visible and can be signalled; pids are the host's",
    "the network is the host's: a port that one sandbox uses is taken for the others",
    "root and user are both the host's user, and sudo grants nothing",
    "/home/user exists only for file calls and in the words of commands, not on disk",
    "processes are not bounded in number",
    "a kill -9 of the launcher leaves what a sandbox started",
)

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# The host's /etc/profile sets PATH anew for each login shell; this is read after it.
_PROFILE = 'export PATH="${HARNESS_PATH:-$PATH}"\nunset HARNESS_PATH\n'
_HOMES = {"user": "home/user", "root": "root"}


class ProcessMode:
    """Makes jobs for one layout."""

    def __init__(self, layout: Layout, *, limits: Limits) -> None:
        self._layout = layout
        self._limits = limits

    def write_tree(self, root: Path) -> None:
        """Makes the folders of a sandbox; `root` itself is made too."""
        for name in ("tmp", *_HOMES.values()):
            (root / name).mkdir(parents=True)
        for home in _HOMES.values():
            (root / home / ".bash_profile").write_text(_PROFILE, encoding="utf-8")

    def job(self, name: str, folder: Path, boot_id: str, mounts: Sequence[VolumeMount] = ()) -> Job:
        """The job that starts a sandbox in `folder`, whose tree is written already.

        Raises:
            BrokenError: mounts are asked for, which need namespaces.
        """
        if mounts:
            raise BrokenError(
                f"{mounts[0].target} cannot be mounted without namespaces",
                expected="the isolation bubblewrap for sandboxes with volumes",
                next_step="harness emulator serve --isolation bubblewrap",
            )
        return Job(
            id=name,
            folder=str(folder),
            ids="none",
            program=str(self._layout.environment.python),
            argv=self._agent(folder / "root", boot_id),
            limits=resource_limits(self._limits),
        )

    def _agent(self, root: Path, boot_id: str) -> Sequence[str]:
        layout, environment = self._layout, self._layout.environment
        homes = {user: str(root / home) for user, home in _HOMES.items()}
        envs = {"TMPDIR": str(root / "tmp")}
        if environment.moves_base:
            # The environment's own interpreter is then a link that is true only in namespaces.
            packages = next(environment.prefix.glob("lib/python*/site-packages"), None)
            envs["PYTHONPATH"] = str(packages or "")
            path = f"{layout.programs}:{environment.base_prefix}/bin:{_PATH}"
        else:
            path = f"{layout.programs}:{environment.prefix}/bin:{_PATH}"
        config: dict[str, Any] = {
            "fd": LISTENER_FD,
            "users": "none",
            "homes": homes,
            "moved": {"/home/user": homes["user"], "/root": homes["root"]},
            "path": path,
            "processes": None,
            "boot_id": boot_id,
            "envs": envs,
        }
        words = ("-I", "-S", "-E", "-c", agent_code(str(layout.agent)), json.dumps(config))
        return (str(environment.python), *words)
