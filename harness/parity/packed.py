"""Opens files that are compressed as a whole: gzip, bzip2, xz."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from types import ModuleType

from harness.model.evidence import FileEvidence

__all__ = ["PACKED", "is_same_packing", "unpacked"]

PACKED: Mapping[str, ModuleType] = {
    ".gz": gzip,
    ".bz2": bz2,
    ".xz": lzma,
    ".tgz": gzip,
    ".tbz2": bz2,
    ".txz": lzma,
}
MAX_UNPACKED_BYTES = 16 << 30
CHUNK_BYTES = 1 << 20
_TIME_IN_GZIP = slice(4, 8)  # RFC 1952: when it was packed


def unpacked(file: FileEvidence, folder: Path) -> FileEvidence | str:
    """What is in a compressed file, as a file without the suffix; or why it cannot be read.

    Args:
        file: the compressed file.
        folder: where its content is written to; it is made.
    """
    path = PurePosixPath(file.path)
    inner = path.with_suffix(".tar" if path.suffix.lower().startswith(".t") else "")
    folder.mkdir()
    location = folder / inner.name
    digest, size_bytes = hashlib.sha256(), 0
    try:
        with (
            PACKED[path.suffix.lower()].open(file.location) as packed,
            location.open("wb") as plain,
        ):
            while piece := packed.read(CHUNK_BYTES):
                size_bytes += len(piece)
                if size_bytes > MAX_UNPACKED_BYTES:
                    return f"more than {MAX_UNPACKED_BYTES} bytes unpacked"
                digest.update(piece)
                plain.write(piece)
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, ValueError) as error:
        return f"not {path.suffix}: {error}"
    except OSError as error:
        if error.errno is not None:
            raise
        return f"not {path.suffix}: {error}"  # bz2 says it so
    return replace(
        file,
        path=str(inner),
        location=location,
        size_bytes=size_bytes,
        sha256=digest.hexdigest(),
    )


def is_same_packing(left: Path, right: Path) -> bool:
    """Whether two files of one content are the same but for the time in a gzip header."""
    if left.suffix.lower() not in {".gz", ".tgz"} or left.stat().st_size != right.stat().st_size:
        return False
    with left.open("rb") as mine, right.open("rb") as theirs:
        while True:
            first = mine.tell() == 0
            pieces = [bytearray(file.read(CHUNK_BYTES)) for file in (mine, theirs)]
            if not pieces[0]:
                return True
            if first:
                for piece in pieces:
                    piece[_TIME_IN_GZIP] = bytes(4)
            if pieces[0] != pieces[1]:
                return False
