"""Fetches a sandbox's files from the endpoint's own interface, and unpacks them safely.

What a sandbox wrote is not to be trusted: nothing that is unpacked lies outside the
folder, no link is followed or made, and there are bounds on number and size.
"""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

import httpx

from harness.errors import BrokenError
from harness.model.side import Endpoint

__all__ = ["HOME", "Bounds", "Unpacked", "fetch_after_image", "unpack"]

HOME = PurePosixPath("/home/user")
_TOKEN_HEADER = "X-Harness-Token"  # noqa: S105 - the header's name
_TIMEOUT_S = 60.0
_CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much an archive may hold.

    Attributes:
        members: files, folders and links together.
        size_bytes: of all files together, unpacked.
    """

    members: int = 200_000
    size_bytes: int = 4 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """What became of an archive.

    Attributes:
        folder: where it lies; its root stands for the sandbox user's home.
        left_out: what was not unpacked: name -> why.
    """

    folder: Path
    left_out: dict[str, str]


def fetch_after_image(
    endpoint: Endpoint, sandbox_id: str, destination: Path, *, bounds: Bounds | None = None
) -> Unpacked:
    """The files under /home/user as they were when the sandbox ended.

    Args:
        endpoint: where it ran.
        sandbox_id: E2B's id.
        destination: a folder that is not there yet.
        bounds: how much is unpacked at most.

    Raises:
        BrokenError: if the endpoint has no such image, or it is damaged or too large.
    """
    if endpoint.admin_url is None:
        raise BrokenError(
            f"the endpoint {endpoint.name!r} keeps no files of sandboxes that ended",
            expected="an emulator or a gateway in front of the service",
            next_step="run against the emulator, or go through the gateway",
        )
    bounds = bounds or Bounds()
    with tempfile.TemporaryFile() as file:
        _download(endpoint, f"{endpoint.admin_url}/after-images/{sandbox_id}", file, bounds)
        file.seek(0)
        return unpack(file, destination, bounds=bounds)


def unpack(file: IO[bytes], destination: Path, *, bounds: Bounds) -> Unpacked:
    """Unpacks a tar of a sandbox's home; regular files and folders only.

    Raises:
        BrokenError: if the archive is damaged or beyond the bounds.
    """
    destination.mkdir(parents=True)
    unpacking = _Unpacking(destination, bounds)
    try:
        with tarfile.open(fileobj=file, mode="r:*") as archive:
            for member in archive:
                unpacking.add(archive, member)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BrokenError(
            f"the after-image cannot be unpacked: {error}",
            expected="a whole tar archive, and room on the disk",
            next_step="run again; if it stays, look at the endpoint's log",
        ) from error
    return Unpacked(folder=destination, left_out=unpacking.left_out)


def _download(endpoint: Endpoint, url: str, file: IO[bytes], bounds: Bounds) -> None:
    headers = {_TOKEN_HEADER: endpoint.admin_token or ""}
    received = 0
    try:
        # The interface is on loopback: the caller's proxies have no part in it.
        with (
            httpx.Client(timeout=_TIMEOUT_S, trust_env=False) as client,
            client.stream("GET", url, headers=headers) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise BrokenError(
                    f"no after-image: GET {url} answered {response.status_code}",
                    expected="the files of a sandbox that ended",
                    next_step="look at the endpoint's log; they are kept until a reset, and live "
                    "only of sandboxes that somebody ended: give it more time (E2B_TIMEOUT)",
                )
            for chunk in response.iter_bytes(_CHUNK_BYTES):
                received += len(chunk)
                _check(0, received, bounds)
                file.write(chunk)
    except httpx.HTTPError as error:
        raise BrokenError(
            f"no after-image: GET {url}: {type(error).__name__}: {error}",
            expected="the endpoint's own interface to answer",
            next_step="check that the endpoint still runs",
        ) from error


def _check(members: int, size_bytes: int, bounds: Bounds) -> None:
    if members > bounds.members or size_bytes > bounds.size_bytes:
        raise BrokenError(
            f"the after-image is too large: {members} members, {size_bytes} bytes",
            expected=f"at most {bounds.members} members and {bounds.size_bytes} bytes",
            next_step="have the pipeline write less under /home/user",
        )


class _Unpacking:
    """One archive on its way into a folder."""

    def __init__(self, folder: Path, bounds: Bounds) -> None:
        self.left_out: dict[str, str] = {}
        self._folder = folder
        self._bounds = bounds
        self._members = 0
        self._size_bytes = 0
        self._files: dict[PurePosixPath, Path] = {}

    def add(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        """Unpacks one member, or notes why not."""
        self._members += 1
        self._grow(0)
        path = _relative(member.name)
        if path is None:
            self.left_out[member.name] = "outside the home folder"
            return
        target = self._folder / path
        if any((self._folder / parent).is_file() for parent in path.parents):
            self.left_out[member.name] = "below a file"
        elif member.isdir() and not target.is_file():
            target.mkdir(parents=True, exist_ok=True)
        elif target.exists():
            self.left_out[member.name] = "its place is taken"
        elif member.isreg():
            self._grow(member.size)
            source = archive.extractfile(member)
            if source is None:
                raise AssertionError("a regular member has content")
            with source:
                self._write(path, source, mode=member.mode)
        elif member.islnk():
            self._link(member, path)
        else:
            reason = "a symlink" if member.issym() else "neither a file nor a folder"
            self.left_out[member.name] = reason

    def _link(self, member: tarfile.TarInfo, path: PurePosixPath) -> None:
        """A hard link becomes a copy of the file that was unpacked before it."""
        linked = _relative(member.linkname)
        original = self._files.get(linked) if linked is not None else None
        if original is None:
            self.left_out[member.name] = "a hard link to nothing in the archive"
            return
        self._grow(original.stat().st_size)
        with original.open("rb") as source:
            self._write(path, source, mode=original.stat().st_mode)

    def _write(self, path: PurePosixPath, source: IO[bytes], *, mode: int) -> None:
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            shutil.copyfileobj(source, file, _CHUNK_BYTES)
        target.chmod(mode & 0o777 | 0o400)  # readable, whatever the sandbox made of it
        self._files[path] = target

    def _grow(self, size_bytes: int) -> None:
        self._size_bytes += size_bytes
        _check(self._members, self._size_bytes, self._bounds)


def _relative(name: str) -> PurePosixPath | None:
    """The name relative to the home folder; None where it leaves it."""
    path = PurePosixPath("/", name)
    if ".." in path.parts:
        return None
    rooted = path.is_relative_to(HOME) and not name.startswith("./")
    relative = path.relative_to(HOME) if rooted else path.relative_to("/")
    return None if name.startswith("/") and not rooted else relative
