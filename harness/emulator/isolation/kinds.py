"""The kinds of sandboxes that a server starts: a template's environment and a network."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.emulator.isolation.agent_code import install_agent
from harness.emulator.isolation.bubblewrap import Bubblewrap
from harness.emulator.isolation.launch import Job
from harness.emulator.isolation.layout import AGENT_FOLDER, Layout
from harness.emulator.isolation.model import Limits, Network, VolumeMount
from harness.emulator.isolation.process_mode import ProcessMode
from harness.emulator.isolation.user_ids import can_map_range, refuse_real_root
from harness.emulator.templates import TemplateEnvironment, bare_environment

__all__ = ["Kind", "Kinds"]


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """Sandboxes that differ only in their identity, so that one can stand for another."""

    isolation: Bubblewrap | ProcessMode

    def prepare(self, folder: Path, boot_id: str) -> Job:
        """Writes a new sandbox's files; the job that starts it."""
        folder.mkdir(mode=0o700)
        self.write_files(folder)
        return self.job(folder, boot_id, ())

    def job(self, folder: Path, boot_id: str, mounts: Sequence[VolumeMount]) -> Job:
        """The job for a folder that holds its files already.

        Raises:
            BrokenError: mounts are asked for, and there are no namespaces to mount them in.
        """
        return self.isolation.job(folder.name, folder, boot_id, mounts)

    def write_files(self, folder: Path) -> None:
        """Writes a new sandbox's files into a folder that exists."""
        self.isolation.write_tree(folder / "root")


class Kinds:
    """Makes each kind once.

    Args:
        folder: for the agent's code and the bare environment.
        isolated: whether sandboxes have namespaces.
        limits: bounds of each sandbox.
        one_user_id: see `SandboxHost`.
    """

    def __init__(
        self, folder: Path, *, isolated: bool, limits: Limits, one_user_id: bool | None
    ) -> None:
        self._folder = folder
        self._isolated = isolated
        self._limits = limits
        self._one_user_id = not can_map_range() if one_user_id is None else one_user_id
        self._agents: dict[Path, Path] = {}
        self._kinds: dict[tuple[Path, Network], Kind] = {}
        self._making = asyncio.Lock()
        self._bare: TemplateEnvironment | None = None

    async def of(self, environment: TemplateEnvironment | None, network: Network) -> Kind:
        """The kind for an environment; None is a bare Python.

        Raises:
            BrokenError: bubblewrap or the environment's interpreter is missing.
        """
        if environment is None:
            # Kept: to look at the interpreter's folders takes a dozen system calls for each create.
            self._bare = self._bare or bare_environment(self._folder / "bare")
            environment = self._bare
        key = (environment.prefix, network)
        if key not in self._kinds:
            async with self._making:
                if key not in self._kinds:
                    self._kinds[key] = await asyncio.to_thread(self._make, environment, network)
        return self._kinds[key]

    def _make(self, environment: TemplateEnvironment, network: Network) -> Kind:
        if environment.python not in self._agents:
            agent = self._folder / f"agent-{len(self._agents)}"
            seen_as = AGENT_FOLDER if self._isolated else str(agent)
            self._agents[environment.python] = install_agent(
                agent, environment.python, seen_as=seen_as
            )
        layout = Layout(environment=environment, agent=self._agents[environment.python])
        if not self._isolated:
            return Kind(ProcessMode(layout, limits=self._limits))
        if not can_map_range():
            refuse_real_root()
        zygote = self._folder / f"zygote-{uuid.uuid4().hex[:12]}"
        zygote.mkdir(mode=0o700)
        return Kind(
            Bubblewrap(
                layout,
                network=network,
                limits=self._limits,
                one_user_id=self._one_user_id,
                zygote=zygote,
                sandboxes=self._folder.parent,
            )
        )
