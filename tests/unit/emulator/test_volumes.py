"""Volumes by id, by name, by token, and where they may be mounted."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from harness.emulator.answers import ApiError
from harness.emulator.volumes import Volumes


def test_volume_opens_to_its_own_token_only(tmp_path: Path) -> None:
    """The token is asked for before the volume is looked for."""
    volumes = Volumes(tmp_path / "volumes")
    one, two = (asyncio.run(volumes.create(name)) for name in ("one", "two"))
    assert volumes.opened(one.volume_id, f"Bearer {one.token}") is one
    for header in (None, "Basic x", "Bearer ", f"Bearer {two.token}"):
        with pytest.raises(ApiError) as refusal:
            volumes.opened(one.volume_id, header)
        assert refusal.value.status == 401
    assert one.token not in repr(one)


def test_volume_is_gone_with_its_files(tmp_path: Path) -> None:
    """A name is free again; after a clear nothing is left of any."""
    volumes = Volumes(tmp_path / "volumes")
    volume = asyncio.run(volumes.create("data"))
    with pytest.raises(ApiError, match="already exists"):
        asyncio.run(volumes.create("data"))
    asyncio.run(volumes.delete(volume.volume_id))
    assert not volume.files.root.exists()
    with pytest.raises(ApiError, match="not found"):
        volumes.get(volume.volume_id)
    asyncio.run(volumes.create("data"))
    asyncio.run(volumes.clear())
    assert volumes.all() == ()
    assert not (tmp_path / "volumes").exists()


@pytest.mark.parametrize(
    "path", ["data", "/", "/etc/x", "/usr", "/home/../etc", "//proc", "", "/./sys"]
)
def test_volume_is_not_mounted_over_the_system(tmp_path: Path, path: str) -> None:
    """Nor anywhere that is no absolute path below the root; elsewhere it is."""
    volumes = Volumes(tmp_path / "volumes")
    volume = asyncio.run(volumes.create("data"))
    with pytest.raises(ApiError, match="invalid mounts:\n\t- volume mount #0: path"):
        volumes.mounts([{"name": "data", "path": path}])
    [mount] = volumes.mounts([{"name": "data", "path": "/mnt/data"}])
    assert (mount.source, mount.target) == (volume.files.root, "/mnt/data")


def test_mounts_that_do_not_fit_are_all_named(tmp_path: Path) -> None:
    """One refusal tells of each, by its place in the request."""
    volumes = Volumes(tmp_path / "volumes")
    asyncio.run(volumes.create("data"))
    asked = [("data", "/a"), ("other", "/b"), ("data", "/a"), ("data", "c"), ("data", "/d/")]
    with pytest.raises(ApiError) as refused:
        volumes.mounts([{"name": name, "path": path} for name, path in asked])
    assert refused.value.status == 400
    assert refused.value.message.splitlines() == [
        "invalid mounts:",
        "\t- volume mount #1: volume 'other' not found",
        "\t- volume mount #2: path '/a' is already used",
        "\t- volume mount #3: path must be absolute",
        "\t- volume mount #4: path must not contain any '.' or '..' components",
    ]
