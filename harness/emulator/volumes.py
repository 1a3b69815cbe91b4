"""Volumes: folders that outlive sandboxes, mounted into them by name.

Source: e2b 2.63.0 e2b/volume (names, tokens), api/client/models/sandbox_volume_mount.py.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from posixpath import normpath

from harness.emulator.answers import ApiError
from harness.emulator.credentials import new_id, new_token
from harness.emulator.isolation import VolumeMount
from harness.emulator.isolation.folders import delete_tree
from harness.emulator.volume_files import VolumeFiles

__all__ = ["Volume", "Volumes"]

_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_SYSTEM = ("bin", "boot", "dev", "etc", "lib", "lib64", "proc", "run", "sbin", "sys", "usr")


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """One volume.

    Attributes:
        volume_id: its id.
        name: what mounts call it.
        token: opens its content.
        files: its content.
    """

    volume_id: str
    name: str
    token: str = field(repr=False)
    files: VolumeFiles


class Volumes:
    """The volumes of one emulator.

    Args:
        folder: where they are kept; made on first use.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._volumes: dict[str, Volume] = {}

    def all(self) -> tuple[Volume, ...]:
        """Every volume, oldest first."""
        return tuple(self._volumes.values())

    def get(self, volume_id: str) -> Volume:
        """The volume of an id.

        Raises:
            ApiError: 404 where there is none.
        """
        volume = self._volumes.get(volume_id)
        if volume is None:
            raise ApiError(404, f"Volume '{volume_id}' not found")
        return volume

    def opened(self, volume_id: str, authorization: str | None) -> Volume:
        """The volume that a request's `Authorization: Bearer` opens.

        Raises:
            ApiError: 401 for a token that is not the volume's, 404 where there is none.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise ApiError(401, "authorization header is missing")
        volume = self.get(volume_id)
        if not hmac.compare_digest(token.strip().encode(), volume.token.encode()):
            raise ApiError(401, "the token does not open this volume")
        return volume

    async def create(self, name: str) -> Volume:
        """A new, empty volume.

        Raises:
            ApiError: 400 for a name that cannot be one, 409 for one that is taken.
        """
        if not _NAME.fullmatch(name):
            raise ApiError(400, f"Invalid volume name '{name}': only [a-zA-Z0-9_-] may be in it")
        if any(volume.name == name for volume in self.all()):
            raise ApiError(409, f"Volume with name '{name}' already exists")
        volume_id = new_id("vol")
        files = VolumeFiles(self._folder / volume_id)
        volume = Volume(volume_id=volume_id, name=name, token=new_token(), files=files)
        self._volumes[volume_id] = volume
        await asyncio.to_thread(files.create)
        return volume

    async def delete(self, volume_id: str) -> None:
        """Removes a volume and its content, mounted or not.

        Raises:
            ApiError: 404 where there is none.
        """
        volume = self.get(volume_id)
        del self._volumes[volume_id]
        await asyncio.to_thread(delete_tree, volume.files.root)

    async def clear(self) -> None:
        """Removes every volume."""
        self._volumes.clear()
        await asyncio.to_thread(delete_tree, self._folder)

    def mounts(self, asked: Sequence[Mapping[str, str]]) -> tuple[VolumeMount, ...]:
        """What a create request's `volumeMounts` ask for.

        Source: e2b-dev/infra packages/api/internal/handlers/sandbox_create.go
        (convertAPIVolumesToOrchestratorVolumes, isValidMountPath).

        Raises:
            ApiError: 400 that names each mount that cannot be had.
        """
        found, problems, used = [], [], set[str]()
        for index, entry in enumerate(asked):
            name, path = entry.get("name"), entry.get("path")
            if not isinstance(name, str) or not isinstance(path, str):
                raise ApiError(400, "Error when parsing request: volumeMounts need name and path")
            volume = next((volume for volume in self.all() if volume.name == name), None)
            problem = f"volume '{name}' not found" if volume is None else _path_problem(path)
            if path in used:
                problem = problem or f"path '{path}' is already used"
            if volume is None or problem:
                problems.append(f"\t- volume mount #{index}: {problem}")
                continue
            used.add(path)
            found.append(VolumeMount(source=volume.files.root, target=path))
        if problems:
            raise ApiError(400, "\n".join(["invalid mounts:", *problems]))
        return tuple(found)


def _path_problem(path: str) -> str:
    """Why nothing can be mounted there; empty where it can."""
    if not path:
        return "path cannot be empty"
    if not path.startswith("/"):
        return "path must be absolute"
    if path.startswith("//") or normpath(path) != path:
        return "path must not contain any '.' or '..' components"
    if path == "/" or path.split("/")[1] in _SYSTEM:
        return "path is one of the system's"
    return ""
