"""Opens archives: zip, and what is zip by another name; tar.

What is in them counts: which members, their permissions, their bytes. When they were packed,
by whom and in which order does not, so that an archive made anew is the same archive. How
they are compressed is their format.
"""

from __future__ import annotations

import hashlib
import lzma
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO

from harness.model.evidence import FileEvidence
from harness.parity.binary import compare_bytes
from harness.parity.delta import Delta, Kind
from harness.parity.file_pair import FilePair
from harness.parity.values import compare_values, segment

__all__ = ["ARCHIVES", "compare_archives"]

_ZIPPED = frozenset({".zip", ".xlsx", ".docx", ".pptx", ".ods", ".odt", ".npz", ".whl", ".jar"})
ARCHIVES = frozenset({".tar", *_ZIPPED})
MAX_UNPACKED_BYTES = 16 << 30
MAX_MEMBERS = 100_000
CHUNK_BYTES = 1 << 20
_METHODS = {
    zipfile.ZIP_STORED: "stored",
    zipfile.ZIP_DEFLATED: "deflated",
    zipfile.ZIP_BZIP2: "bzip2",
    zipfile.ZIP_LZMA: "lzma",
}
_FAULTS = (
    zipfile.BadZipFile,
    tarfile.TarError,
    EOFError,
    ValueError,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,  # a method of compression that zipfile does not know
    RuntimeError,  # zipfile's word for a file that needs a password
)


class _TooMuchError(Exception):
    """More than is unpacked; the message says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Contents:
    """What is in an archive.

    Attributes:
        files: its files by name; of two of one name the second is `name#2`.
        others: folders, links and the like: name -> what it is.
        packing: how its files are packed, by name.
    """

    files: dict[str, FileEvidence]
    others: dict[str, str]
    packing: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    name: str
    mode: int
    other: str
    packing: str
    data: IO[bytes] | None


def compare_archives(
    pair: FilePair, compare: Callable[[FilePair], Iterable[Delta]]
) -> Iterator[Delta]:
    """Where the members of two archives disagree.

    Order: of members, none. Tolerance: none; permissions and bytes count, times and owners do
    not. A member is compared by what kind of file it is.

    Args:
        pair: the archive on both sides.
        compare: compares the contents of a member that differs.
    """
    with tempfile.TemporaryDirectory(prefix="harness-archive-") as folder:
        found = [
            _opened(file, Path(folder, side))
            for side, file in (("l", pair.left), ("r", pair.right))
        ]
        mine, theirs = found
        if isinstance(mine, str) or isinstance(theirs, str):
            told = [word if isinstance(word, str) else "an archive" for word in found]
            if told[0] != told[1]:
                yield pair.place.delta(Kind.UNPARSABLE, *told)
            yield from compare_bytes(pair.left.location, pair.right.location, pair.place)
            return
        members = pair.place.child("members")
        for name in sorted({*mine.files, *theirs.files}):
            yield from _member(name, mine, theirs, replace(pair, place=members), compare)
        yield from compare_values({**mine.others}, {**theirs.others}, members)


def _member(
    name: str,
    mine: _Contents,
    theirs: _Contents,
    pair: FilePair,
    compare: Callable[[FilePair], Iterable[Delta]],
) -> Iterator[Delta]:
    here = pair.place.child(segment(name))
    left, right = mine.files.get(name), theirs.files.get(name)
    if left is None or right is None:
        told = [f"{file.size_bytes} bytes" if file else "no member" for file in (left, right)]
        yield here.delta(Kind.EXTRA if left is None else Kind.MISSING, *told)
        return
    if left.mode != right.mode:
        modes = (f"0o{left.mode:o}", f"0o{right.mode:o}")
        yield here.child("mode").delta(Kind.VALUE, *modes, shape="→".join(modes))
    if left.sha256 != right.sha256:
        yield from compare(replace(pair, left=left, right=right, place=here))
    elif mine.packing[name] != theirs.packing[name]:
        ways = (mine.packing[name], theirs.packing[name])
        yield here.child("format").delta(Kind.VALUE, *ways, shape="→".join(ways))


def _opened(file: FileEvidence, folder: Path) -> _Contents | str:
    """The members of an archive, as files below `folder`; or why it cannot be read.

    Args:
        file: the archive.
        folder: where its files are written to, under names of their own; it is made.
    """
    suffix = PurePosixPath(file.path).suffix.lower()
    folder.mkdir()
    read = _zip_members if suffix in _ZIPPED else _tar_members
    found = _Contents(files={}, others={}, packing={})
    left = MAX_UNPACKED_BYTES
    try:
        for number, member in enumerate(read(file.location)):
            if number >= MAX_MEMBERS:
                return f"more than {MAX_MEMBERS} members"
            name = _apart(member.name, found)
            if member.data is None:
                found.others[name] = member.other
                continue
            with member.data:
                inner = _written(member.data, folder / str(number), left)
            left -= inner[0]
            found.files[name] = replace(
                file,
                path=member.name,
                location=folder / str(number),
                size_bytes=inner[0],
                sha256=inner[1],
                mode=member.mode,
            )
            found.packing[name] = member.packing
    except _TooMuchError as error:
        return str(error)
    except _FAULTS as error:
        return f"not {suffix}: {error}"
    return found


def _zip_members(path: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            yield _Member(
                name=info.filename,
                mode=stat.S_IMODE(mode),
                other="a folder",
                packing=_METHODS.get(info.compress_type, f"method {info.compress_type}"),
                data=None if info.is_dir() else archive.open(info),
            )


def _tar_members(path: Path) -> Iterator[_Member]:
    with tarfile.open(path, "r:") as archive:
        for info in archive:
            yield _Member(
                name=info.name,
                mode=stat.S_IMODE(info.mode),
                other=_other(info),
                packing="none",
                data=archive.extractfile(info) if info.isreg() else None,
            )


def _other(info: tarfile.TarInfo) -> str:
    if info.isdir():
        return f"a folder, 0o{stat.S_IMODE(info.mode):o}"
    if info.issym() or info.islnk():
        return f"a link to {info.linkname}"
    return "neither a file nor a folder nor a link"


def _apart(name: str, found: _Contents) -> str:
    number, free = 1, name
    while free in found.files or free in found.others:
        number += 1
        free = f"{name}#{number}"
    return free


def _written(data: IO[bytes], path: Path, limit: int) -> tuple[int, str]:
    """Size and digest of what was written.

    Raises:
        _TooMuchError: if there is more than `limit`.
    """
    digest, size_bytes = hashlib.sha256(), 0
    with path.open("wb") as plain:
        while piece := data.read(CHUNK_BYTES):
            size_bytes += len(piece)
            if size_bytes > limit:
                raise _TooMuchError(f"more than {MAX_UNPACKED_BYTES} bytes unpacked")
            digest.update(piece)
            plain.write(piece)
    return size_bytes, digest.hexdigest()
