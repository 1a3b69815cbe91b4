"""Snapshots: the files of a sandbox, kept for others to start from; and forks.

Source: e2b-dev/infra packages/api/internal/handlers (snapshot_template_create.go,
snapshot_template_list.go, sandbox_fork.go, template_delete.go);
e2b 2.63.0 e2b/api/client/models (snapshot_info, sandbox_fork_request).

Differs: the memory of running processes is not copied. A sandbox made from a snapshot or
fork has the files of that moment, and none of its processes.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from harness.emulator.answers import ApiError
from harness.emulator.catalogue import Catalogue
from harness.emulator.credentials import new_id
from harness.emulator.isolation import SandboxHost
from harness.emulator.isolation.layers import MAX_LAYER_BYTES
from harness.emulator.life import Happening, NewSandbox, SandboxLife
from harness.emulator.sandboxes import Sandboxes, no_such_sandbox
from harness.emulator.template_names import (
    DEFAULT_TAG,
    TEAM_SLUG,
    TemplateName,
    check_namespace,
    parse_name,
)
from harness.emulator.template_records import Template
from harness.errors import BrokenError

__all__ = ["MAX_BYTES", "MAX_SNAPSHOTS", "Snapshot", "Snapshots", "checked_name"]

MAX_SNAPSHOTS = 100
MAX_BYTES = 16 * 1024**3
_BLOCK_BYTES = 512  # of st_blocks, whatever the file system's own are


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One snapshot.

    Attributes:
        snapshot_id: what names it in a create request: `namespace/name:tag`, or a template's id
            with the tag.
        names: the name that its creator gave, with the namespace; empty where none was given.
        tag: which of the snapshots of one name it is.
        sandbox_id: the sandbox whose files they are.
        created_at: when they were copied.
        template: what sandboxes are made from.
        size_bytes: what its files take on disk.
    """

    snapshot_id: str
    names: tuple[str, ...]
    tag: str
    sandbox_id: str
    created_at: datetime
    template: Template
    size_bytes: int

    def is_called(self, name: TemplateName) -> bool:
        """Whether a name or id means this one; without a tag it means every one of that name."""
        return (
            name.namespace in {None, TEAM_SLUG}
            and name.alias in {self.template.name, self.template.template_id}
            and name.tag in {None, self.tag}
        )


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

    def template_of(self, name: TemplateName) -> str:
        """The template that holds the snapshots of a name or id; empty where there is none."""
        plain = replace(name, tag=None)
        found = (one for one in self._kept.values() if one.is_called(plain))
        return next((one.template.template_id for one in found), "")

    async def take(self, sandbox_id: str, name: str | None) -> Snapshot:
        """A new snapshot of a sandbox, that goes on afterwards.

        Args:
            sandbox_id: the sandbox.
            name: what it is to be called; one of that name and tag is replaced.

        Raises:
            ApiError: 404 where the sandbox is gone or paused, 400 for a name that cannot be one,
                500 where the files cannot be kept.
        """
        wanted = None if name is None else checked_name(name)
        life = self._sandboxes.get(sandbox_id)
        if not life.running:
            raise no_such_sandbox(sandbox_id)
        template_id = (self.template_of(wanted) if wanted else "") or new_id("")
        snapshot_id, names = _identity(wanted, template_id)
        if snapshot_id not in self._kept and len(self._kept) >= self._max_snapshots:
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
        template = replace(
            life.asked.template,
            template_id=template_id,
            name=wanted.alias if wanted else template_id,
            image=image,
        )
        snapshot = Snapshot(
            snapshot_id=snapshot_id,
            names=names,
            tag=(wanted.tag if wanted else None) or DEFAULT_TAG,
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

    async def delete(self, template_id: str) -> None:
        """Deletes the snapshots of one name, whatever their tags; none at all is fine."""
        for snapshot in [*self._kept.values()]:
            if snapshot.template.template_id == template_id:
                await self._delete(snapshot)

    async def clear(self) -> None:
        """Deletes every snapshot."""
        for snapshot in [*self._kept.values()]:
            await self._delete(snapshot)

    async def _delete(self, snapshot: Snapshot) -> None:
        del self._kept[snapshot.snapshot_id]
        for word in _keys(snapshot):
            self._catalogue.remove_snapshot(word)
        await self._drop_files(snapshot)

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
            raise ApiError(
                409, f"Sandbox '{sandbox_id}' is paused and cannot be forked; resume it first"
            )
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


def _identity(name: TemplateName | None, template_id: str) -> tuple[str, tuple[str, ...]]:
    """Its id and its names."""
    if name is None:
        return f"{template_id}:{DEFAULT_TAG}", ()
    full = f"{TEAM_SLUG}/{name.alias}"
    return f"{full}:{name.tag or DEFAULT_TAG}", (full,)


def _keys(snapshot: Snapshot) -> set[str]:
    template = snapshot.template
    return {f"{word}:{snapshot.tag}" for word in (template.name, template.template_id)}


def checked_name(name: str) -> TemplateName:
    """A name that a request gives a snapshot, or asks for.

    Raises:
        ApiError: 400 where it cannot be one, or names another team.
    """
    try:
        parsed = parse_name(name)
    except ValueError as error:
        raise ApiError(400, f"Invalid name: {error}") from error
    try:
        check_namespace(parsed)
    except ValueError as error:
        raise ApiError(400, str(error)) from error
    return parsed
