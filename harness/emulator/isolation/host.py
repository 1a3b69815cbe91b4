"""Owns every sandbox of one server: the pool, the folders, the ends."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.emulator.isolation.after_image import AfterImage
from harness.emulator.isolation.model import IsolationMode, Limits, Network
from harness.emulator.isolation.sandbox import Sandbox
from harness.emulator.templates import TemplateEnvironment

__all__ = ["SandboxHost"]


class SandboxHost:
    """Starts sandboxes and ends them; an async context manager.

    Args:
        state_dir: the folder for the sandboxes' files; made where it is missing.
        mode: what isolates them.
        templates: the environment of each template's name; a name that is missing here gets
            `default_template` where that is given, else a bare Python.
        default_template: see `templates`.
        pool_size: how many anonymous sandboxes wait ready.
        pool_network: the network that those are started with.
        limits: bounds of each sandbox.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        mode: IsolationMode = IsolationMode.BUBBLEWRAP,
        templates: Mapping[str, TemplateEnvironment] | None = None,
        default_template: TemplateEnvironment | None = None,
        pool_size: int = 2,
        pool_network: Network = Network.NONE,
        limits: Limits = Limits(),
    ) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        """Opens the host and begins to fill the pool.

        Raises:
            BrokenError: this machine cannot isolate a sandbox in the chosen way.
        """
        raise NotImplementedError

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Kills every sandbox; deletes the folders of the pool, and keeps after-images."""
        raise NotImplementedError

    async def start(
        self,
        sandbox_id: str,
        *,
        template: str = "base",
        envs: Mapping[str, str] | None = None,
        network: Network = Network.NONE,
    ) -> Sandbox:
        """A running sandbox with that identity, from the pool where one fits.

        Raises:
            BrokenError: it did not come up; with the last lines of what it said.
        """
        raise NotImplementedError

    def after_image(self, sandbox_id: str) -> AfterImage | None:
        """The files of a sandbox, running or dead; None once discarded."""
        raise NotImplementedError

    async def discard(self, sandbox_id: str) -> None:
        """Kills the sandbox if it runs, and deletes its files. Unknown ids are fine."""
        raise NotImplementedError
