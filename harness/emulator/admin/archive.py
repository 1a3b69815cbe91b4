"""The files of a sandbox as a tar stream, made piece by piece."""

from __future__ import annotations

import asyncio
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import PurePosixPath

from harness.emulator.isolation import AfterImage, ImageEntry

__all__ = ["tar_chunks"]

_CHUNK_BYTES = 256 * 1024
_BLOCK = 512


async def tar_chunks(image: AfterImage, *, below: str, relative_to: str) -> AsyncIterator[bytes]:
    """A tar of everything below a path.

    Sockets, devices and symlinks that cannot be named are left out; symlinks are kept as
    such and never followed.

    Args:
        image: the files.
        below: the subtree, absolute, as the sandbox names it.
        relative_to: what the names in the archive are relative to where they lie below
            it; names that lie elsewhere lose their leading slash.
    """
    pieces = _pieces(image, below, relative_to)
    while True:
        piece = await asyncio.to_thread(next, pieces, None)
        if piece is None:
            return
        yield piece


def _pieces(image: AfterImage, below: str, relative_to: str) -> Iterator[bytes]:
    for entry in image.walk(below):
        name = _name(entry.path, relative_to)
        info = _header(entry, name)
        if info is None:
            continue
        if entry.type == "file":
            yield from _file(image, entry, info)
        else:
            yield info.tobuf(tarfile.PAX_FORMAT)
    yield b"\0" * (2 * _BLOCK)


def _file(image: AfterImage, entry: ImageEntry, info: tarfile.TarInfo) -> Iterator[bytes]:
    try:
        source = image.open(entry.path)
    except FileNotFoundError:
        return  # the sandbox runs, and removed it meanwhile
    with source:
        yield info.tobuf(tarfile.PAX_FORMAT)
        left = info.size
        while left:
            data = source.read(min(_CHUNK_BYTES, left))
            if not data:
                # It shrank meanwhile; the archive has promised its size.
                yield b"\0" * left
                break
            left -= len(data)
            yield data
    yield b"\0" * (-info.size % _BLOCK)


def _header(entry: ImageEntry, name: str) -> tarfile.TarInfo | None:
    info = tarfile.TarInfo(name)
    info.mode = entry.mode
    if entry.type == "file":
        info.size = entry.size_bytes
    elif entry.type == "dir":
        info.type = tarfile.DIRTYPE
    elif entry.type == "symlink" and entry.target is not None:
        info.type = tarfile.SYMTYPE
        info.linkname = entry.target
    else:
        return None
    return info


def _name(path: str, relative_to: str) -> str:
    absolute = PurePosixPath(path)
    if absolute.is_relative_to(relative_to):
        return str(absolute.relative_to(relative_to))
    return path.lstrip("/")
