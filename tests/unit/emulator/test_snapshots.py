"""Snapshots: bounded in number and in size, and free again when deleted."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import cast

import pytest
from scripted_host import ScriptedHost

from harness.clock import ManualClock
from harness.emulator.after_images import AfterImages
from harness.emulator.answers import ApiError
from harness.emulator.catalogue import Catalogue
from harness.emulator.isolation import SandboxHost
from harness.emulator.life import NewSandbox
from harness.emulator.sandboxes import Sandboxes
from harness.emulator.service_clock import ServiceClock
from harness.emulator.snapshots import Snapshots
from harness.errors import BrokenError

KIB = 1024


class CopyingHost(ScriptedHost):
    """A scripted host whose layers hold one file of a size that the test decides."""

    size_bytes = 100 * KIB
    layers = 0

    def new_layer(self) -> Path:
        """A place for a layer."""
        self.layers += 1
        return self.root / f"layer-{self.layers}"

    async def save_layer(self, sandbox_id: str, into: Path, *, limit_bytes: int) -> None:
        """One file, where it fits."""
        assert sandbox_id in self.guests
        if self.size_bytes > limit_bytes:
            raise BrokenError("too large", expected="less", next_step="delete some")
        _fill(into, self.size_bytes)

    async def drop_layer(self, layer: Path) -> None:
        """Deletes it."""
        shutil.rmtree(layer)


def _fill(layer: Path, size_bytes: int) -> None:
    layer.mkdir()
    (layer / "file").write_bytes(b"x" * size_bytes)


def test_snapshots_are_bounded_in_number_and_in_size(tmp_path: Path) -> None:
    """Past either bound the refusal says what is kept; a deleted one makes room."""

    async def scene() -> None:
        scripted = CopyingHost(tmp_path)
        host, clock = cast("SandboxHost", scripted), ServiceClock(ManualClock())
        catalogue = Catalogue()
        sandboxes = Sandboxes(host, clock, AfterImages(host))
        snapshots = Snapshots(host, sandboxes, catalogue, max_snapshots=3, max_bytes=400 * KIB)
        asked = NewSandbox(template=catalogue.get("base"), timeout_s=60)
        life = await sandboxes.create(asked, lambda _: {})
        made = [await snapshots.take(life.sandbox_id, f"number-{number}") for number in range(3)]
        assert all(100 * KIB <= snapshot.size_bytes < 120 * KIB for snapshot in made)
        with pytest.raises(ApiError, match="no more than 3 snapshots"):
            await snapshots.take(life.sandbox_id, None)
        await snapshots.delete(made[0].template.template_id)
        scripted.size_bytes = 300 * KIB
        with pytest.raises(ApiError, match=r"too large; 0 MiB of 0 are kept"):
            await snapshots.take(life.sandbox_id, None)
        await snapshots.delete(made[1].template.template_id)
        scripted.size_bytes = 200 * KIB
        assert (await snapshots.take(life.sandbox_id, None)).size_bytes >= 200 * KIB
        await snapshots.clear()
        await sandboxes.close()

    asyncio.run(scene())
    assert [path.name for path in tmp_path.iterdir() if "layer" in path.name] == []
