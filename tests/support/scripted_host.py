"""A sandbox host without sandboxes: what a test decides happens, nothing else does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.emulator.isolation import AfterImage, Network
from harness.emulator.isolation.model import VolumeMount
from harness.errors import BrokenError


class ScriptedGuest:
    """A sandbox that is told when to die."""

    def __init__(self, sandbox_id: str, root: Path) -> None:
        self.sandbox_id = sandbox_id
        self.files = AfterImage(root)
        self.paused = False
        self.answers = True
        self.died = asyncio.Event()

    async def kill(self) -> None:
        """Dies."""
        self.died.set()

    async def wait_dead(self) -> None:
        """Returns at its death."""
        await self.died.wait()

    async def healthy(self) -> bool:
        """Answers, or not."""
        return self.answers

    async def pause(self, *, asks_agent: bool = True) -> None:
        """Notes the pause."""
        self.paused = asks_agent

    async def resume(self) -> None:
        """Notes the end of the pause."""
        self.paused = False


class ScriptedHost:
    """Starts scripted guests; `gate` holds back starts, `refuses` fails them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.gate = asyncio.Event()
        self.gate.set()
        self.refuses = False
        self.guests: dict[str, ScriptedGuest] = {}
        self.discarded: list[str] = []
        self.started_with: dict[str, Any] = {}
        self.started_from: Path | None = None
        self.mounted: tuple[VolumeMount, ...] = ()

    async def start(
        self,
        sandbox_id: str,
        *,
        template: str = "base",
        envs: Mapping[str, str] | None = None,
        network: Network = Network.NONE,
        layer: Path | None = None,
        mounts: Sequence[VolumeMount] = (),
    ) -> ScriptedGuest:
        """A guest with an empty home, once the gate is open."""
        self.mounted = tuple(mounts)
        self.started_with = {"template": template, "envs": dict(envs or {}), "network": network}
        self.started_from = layer
        await self.gate.wait()
        if self.refuses:
            raise BrokenError("no room", expected="room", next_step="make room")
        root = self.root / sandbox_id
        (root / "home" / "user").mkdir(parents=True)
        self.guests[sandbox_id] = ScriptedGuest(sandbox_id, root)
        return self.guests[sandbox_id]

    async def reboot(
        self, sandbox_id: str, *, envs: Mapping[str, str] | None = None
    ) -> ScriptedGuest:
        """Another guest with the same files."""
        self.started_with = {"envs": dict(envs or {})}
        if self.refuses:
            raise BrokenError("no room", expected="room", next_step="make room")
        self.guests[sandbox_id] = ScriptedGuest(sandbox_id, self.root / sandbox_id)
        return self.guests[sandbox_id]

    def after_image(self, sandbox_id: str) -> AfterImage | None:
        """The guest's files until discarded."""
        guest = self.guests.get(sandbox_id)
        return guest.files if guest else None

    async def discard(self, sandbox_id: str) -> None:
        """Forgets the guest."""
        self.discarded.append(sandbox_id)
        self.guests.pop(sandbox_id, None)
