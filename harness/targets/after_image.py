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
    left_out: dict[str, str] = {}
    members = size_bytes = 0
    try:
        with tarfile.open(fileobj=file, mode="r:*") as archive:
            for member in archive:
                members += 1
                size_bytes += member.size if member.isreg() else 0
                _check(members, size_bytes, bounds)
                reason = _unpack_member(archive, member, destination)
                if reason:
                    left_out[member.name] = reason
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BrokenError(
            f"the after-image cannot be unpacked: {error}",
            expected="a whole tar archive, and room on the disk",
            next_step="run again; if it stays, look at the endpoint's log",
        ) from error
    return Unpacked(folder=destination, left_out=left_out)


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
                    next_step="look at the endpoint's log; after-images are kept until a reset",
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


def _unpack_member(
    archive: tarfile.TarFile, member: tarfile.TarInfo, destination: Path
) -> str | None:
    """Why the member was left out; None where it was not."""
    path = _relative(member.name)
    if path is None:
        return "outside the home folder"
    target = destination / path
    if not (member.isreg() or member.isdir() or member.islnk()):
        return "a link" if member.issym() else "neither a file nor a folder"
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return None
    if target.exists() or any((destination / parent).is_file() for parent in path.parents):
        return "its place is taken"
    source = archive.extractfile(member)
    if source is None:
        return "a hard link to nothing in the archive"
    target.parent.mkdir(parents=True, exist_ok=True)
    with source, target.open("xb") as file:
        shutil.copyfileobj(source, file, _CHUNK_BYTES)
    target.chmod(member.mode & 0o777 | 0o400)  # readable, whatever the sandbox made of it
    return None


def _relative(name: str) -> PurePosixPath | None:
    """The name relative to the home folder; None where it leaves it."""
    path = PurePosixPath("/", name)
    if ".." in path.parts:
        return None
    rooted = path.is_relative_to(HOME) and not name.startswith("./")
    relative = path.relative_to(HOME) if rooted else path.relative_to("/")
    return None if name.startswith("/") and not rooted else relative
