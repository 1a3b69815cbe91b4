"""Snapshots: the files of a sandbox, kept for others to start from; and forks.

Source: e2b-dev/infra packages/api/internal/handlers/sandbox_snapshot.go and
snapshots_list.go; e2b 2.63.0 e2b/api/client/models (snapshot_info, sandbox_fork_request).

Differs: the memory of running processes is not copied. A sandbox made from a snapshot or
fork has the files of that moment, and none of its processes.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from harness.emulator.answers import ApiError
from harness.emulator.catalogue import DEFAULT_TAG, Catalogue, split_name
from harness.emulator.credentials import new_id
from harness.emulator.isolation import SandboxHost
from harness.emulator.isolation.layers import MAX_LAYER_BYTES
from harness.emulator.life import Happening, NewSandbox, SandboxLife
from harness.emulator.sandboxes import Sandboxes, no_such_sandbox
from harness.emulator.template_records import Template
from harness.errors import BrokenError

__all__ = ["MAX_BYTES", "MAX_SNAPSHOTS", "Snapshot", "Snapshots"]

MAX_SNAPSHOTS = 100
MAX_BYTES = 16 * 1024**3
_BLOCK_BYTES = 512  # of st_blocks, whatever the file system's own are
_NAME = re.compile(r"[a-z0-9_-]{1,128}:[a-z0-9_.-]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One snapshot.

    Attributes:
        snapshot_id: what names it in a create request: `name:tag`, or a template's id with
            the tag.
        names: the names that its creator gave, with the tag; empty where none was given.
        sandbox_id: the sandbox whose files they are.
        created_at: when they were copied.
        template: what sandboxes are made from.
        size_bytes: what its files take on disk.
    """

    snapshot_id: str
    names: tuple[str, ...]
    sandbox_id: str
    created_at: datetime
    template: Template
    size_bytes: int

    def is_called(self, text: str) -> bool:
        """Whether a name or id, with or without its tag, means this one."""
        wanted = _with_tag(text)
        return wanted in {self.snapshot_id, *self.names, _with_tag(self.template.template_id)}


class Snapshots:
    """Takes, keeps and deletes snapshots.

    Args:
        host: owns the files.
        sandboxes: where sandboxes are made and found.
        catalogue: where snapshots become templates.
        max_snapshots: how many are kept at once.
        max_bytes: how much they may take on disk together.
    """

    def __init__(
        self,
        host: SandboxHost,
        sandboxes: Sandboxes,
        catalogue: Catalogue,
        *,
        max_snapshots: int = MAX_SNAPSHOTS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._host = host
        self._sandboxes = sandboxes
        self._catalogue = catalogue
        self._max_snapshots = max_snapshots
        self._max_bytes = max_bytes
        self._kept: dict[str, Snapshot] = {}

    def newest_first(self) -> tuple[Snapshot, ...]:
        """Every snapshot, newest first."""
        return tuple(sorted(self._kept.values(), key=_place, reverse=True))

    def find(self, identifier: str) -> Snapshot | None:
        """The snapshot of a name or id; None where there is none."""
        return next((one for one in self._kept.values() if one.is_called(identifier)), None)

    async def take(self, sandbox_id: str, name: str | None) -> Snapshot:
        """A new snapshot of a sandbox, that goes on afterwards.

        Args:
            sandbox_id: the sandbox, running or paused.
            name: what it is to be called; one of that name is replaced.

        Raises:
            ApiError: 404 where the sandbox is gone, 400 for a name that cannot be one, 500
                where the files cannot be kept.
        """
        life = self._sandboxes.get(sandbox_id)
        key = None if name is None else _checked_name(name)
        replaced = None if key is None else self._kept.get(key)
        if replaced is None and len(self._kept) >= self._max_snapshots:
            raise ApiError(
                500,
                f"the emulator keeps no more than {self._max_snapshots} snapshots; "
                "delete some, or reset it",
            )
        image = life.asked.template.image
        envs = {**image.envs, **life.asked.envs}
        layer = await self._copy(life)
        image = replace(image, layer=layer, envs=envs)
        self._sandboxes.chronicle.tell(Happening.CHECKPOINTED, life)
        template_id = replaced.template.template_id if replaced else new_id("")
        template = replace(
            life.asked.template,
            template_id=template_id,
            name=key.partition(":")[0] if key else template_id,
            image=image,
        )
        snapshot = Snapshot(
            snapshot_id=key or _with_tag(template.template_id),
            names=(key,) if key else (),
            sandbox_id=sandbox_id,
            created_at=self._sandboxes.clock.now(),
            template=template,
            size_bytes=await asyncio.to_thread(_size_on_disk, layer),
        )
        previous = self._kept.get(snapshot.snapshot_id)
        self._kept[snapshot.snapshot_id] = snapshot
        for word in _keys(snapshot):
            self._catalogue.add_snapshot(word, template)
        if previous is not None:
            await self._drop_files(previous)
        return snapshot

    async def delete(self, identifier: str) -> bool:
        """Deletes a snapshot; sandboxes made from it go on.

        Returns:
            False where there was none.
        """
        snapshot = self.find(identifier)
        if snapshot is None:
            return False
        del self._kept[snapshot.snapshot_id]
        for word in _keys(snapshot):
            self._catalogue.remove_snapshot(word)
        await self._drop_files(snapshot)
        return True

    async def clear(self) -> None:
        """Deletes every snapshot."""
        for snapshot_id in [*self._kept]:
            await self.delete(snapshot_id)

    async def fork(
        self,
        sandbox_id: str,
        *,
        count: int,
        timeout_s: int,
        stamp: Callable[[NewSandbox], Mapping[str, str]],
    ) -> list[SandboxLife | ApiError]:
        """New sandboxes with the files of one that goes on; each comes up or fails by itself.

        Raises:
            ApiError: 404 where the sandbox is gone, 409 where it is paused, 500 where its
                files cannot be copied.
        """
        life = self._sandboxes.get(sandbox_id)
        if not life.running:
            raise ApiError(409, f"Sandbox '{sandbox_id}' is paused")
        layer = await self._copy(life)
        template = life.asked.template
        asked = replace(
            life.asked,
            timeout_s=timeout_s,
            template=replace(template, image=replace(template.image, layer=layer)),
        )
        try:
            made = await asyncio.gather(
                *(self._sandboxes.create(asked, stamp) for _ in range(count)),
                return_exceptions=True,
            )
        finally:
            await self._host.drop_layer(layer)
        return [_outcome(one) for one in made]

    async def _copy(self, life: SandboxLife) -> Path:
        layer = self._host.new_layer()
        kept = sum(snapshot.size_bytes for snapshot in self._kept.values())
        left = max(0, self._max_bytes - kept)
        async with life.changing:
            if self._sandboxes.find(life.sandbox_id) is not life:
                raise no_such_sandbox(life.sandbox_id)
            try:
                await self._host.save_layer(
                    life.sandbox_id, layer, limit_bytes=min(left, MAX_LAYER_BYTES)
                )
            except BrokenError as error:
                why = error.happened
                if left < MAX_LAYER_BYTES:
                    why += f"; {kept // 1024**2} MiB of {self._max_bytes // 1024**2} are kept"
                raise ApiError(500, f"Failed to snapshot sandbox: {why}") from error
        return layer

    async def _drop_files(self, snapshot: Snapshot) -> None:
        if snapshot.template.image.layer is not None:
            await self._host.drop_layer(snapshot.template.image.layer)


def _size_on_disk(layer: Path) -> int:
    total = 0
    for folder, folders, files in os.walk(layer):
        for name in (*folders, *files):
            total += os.lstat(Path(folder, name)).st_blocks * _BLOCK_BYTES
    return total


def _place(snapshot: Snapshot) -> tuple[datetime, str]:
    return snapshot.created_at, snapshot.snapshot_id


def _outcome(made: SandboxLife | BaseException) -> SandboxLife | ApiError:
    if isinstance(made, SandboxLife | ApiError):
        return made
    raise made


def _with_tag(identifier: str) -> str:
    name, tag = split_name(identifier)
    return f"{name}:{tag or DEFAULT_TAG}"


def _keys(snapshot: Snapshot) -> set[str]:
    return {snapshot.snapshot_id, *snapshot.names, _with_tag(snapshot.template.template_id)}


def _checked_name(name: str) -> str:
    key = _with_tag(name)
    if not _NAME.fullmatch(key):
        raise ApiError(400, f"Invalid snapshot name '{name}'")
    return key
