"""Formats that hide what is in them: Parquet, SQLite and pickle, read as text.

Parquet compresses and splits its columns, SQLite splits long values over pages, a
pickle splits long ones into frames. Each is read by its format, from the file itself and
part by part, so that its size costs no memory; a pickle is taken apart and never loaded.
What is not readable is said, for then it was not searched.
"""

from __future__ import annotations

import io
import os
import pickletools
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, cast

from harness.redaction.parquet_texts import parquet_texts
from harness.redaction.pieces import UnreadableViewError

__all__ = ["has_view", "view_of"]

_PORTION_BYTES = 1024 * 1024
_CELL_COST_BYTES = 64  # in memory, besides its text
_MAX_CELL_BYTES = 16 * 1024 * 1024  # of SQLite, which reads a cell whole
_MAX_ARGUMENT_BYTES = 4 * 1024 * 1024
_MEBIBYTE = 1024 * 1024
# Of a Parquet file no more is unpacked than this, or this often its size.
_MIN_UNPACKED_BYTES, _MAX_RATIO = 512 * _MEBIBYTE, 64
_SEPARATOR = b"\n"
_WRITE_AHEAD_LOG = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
_PICKLE_PROTOCOLS = range(2, 6)
_FIRST_OPCODES = b"\x95(])}cXUVKGMNI.\x8c\x8b\x8e\x8d\x8f\x88\x89\x80"


def has_view(head: bytes) -> bool:
    """Whether a file that begins so is read by its format."""
    return _reader(head) is not None


def view_of(head: bytes, stream: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    """The texts in a file, as streams, each with the name of the part that it is of.

    Args:
        head: the first bytes.
        stream: the file, from its beginning; see `pieces.as_file`.

    Raises:
        UnreadableViewError: if it cannot be read to its end; reading a stream raises the
            same where it is this part that cannot.
    """
    reader = _reader(head)
    if reader is not None:
        yield from reader(stream)


def _reader(head: bytes) -> Callable[[IO[bytes]], Iterator[tuple[str, IO[bytes]]]] | None:
    if head.startswith((b"PAR1", b"PARE")):
        return _parquet
    if head.startswith(b"SQLite format 3\0"):
        return _sqlite
    if head.startswith(_WRITE_AHEAD_LOG):
        return _write_ahead_log
    if len(head) > 2 and head[0] == 0x80 and head[1] in _PICKLE_PROTOCOLS:  # noqa: PLR2004 - the opcode PROTO
        return _pickle if head[2] in _FIRST_OPCODES else None
    return None


def _path_of(stream: IO[bytes]) -> str:
    """The open file, whatever stands at its path by now."""
    return f"/proc/self/fd/{stream.fileno()}"


def _parquet(stream: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    size_bytes = os.fstat(stream.fileno()).st_size
    limit_bytes = max(_MIN_UNPACKED_BYTES, size_bytes * _MAX_RATIO)
    return parquet_texts(stream, limit_bytes=limit_bytes)


def _sqlite(stream: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    # Immutable: no lock is taken, nothing is written beside it, write-ahead mode or not.
    return _tables(f"file:{_path_of(stream)}?mode=ro&immutable=1")


def _write_ahead_log(stream: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    """What the database holds with it: both are copied, for opening them changes them."""
    path = Path(_path_of(stream)).readlink()
    database = path.with_name(path.name.removesuffix("-wal"))
    if database == path or database.is_symlink() or not database.is_file():
        raise UnreadableViewError("SQLite's write-ahead log, its database not beside it")
    with tempfile.TemporaryDirectory(prefix="scanned-") as folder:
        copy = Path(folder) / "copy"
        shutil.copyfile(database, copy)
        shutil.copyfile(_path_of(stream), f"{copy}-wal")
        yield from _tables(f"file:{copy}")


def _tables(uri: str) -> Iterator[tuple[str, IO[bytes]]]:
    try:
        with closing(sqlite3.connect(uri, uri=True)) as database:
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_CELL_BYTES)
            database.text_factory = bytes
            tables = database.execute("SELECT name, type FROM sqlite_master").fetchall()
            yield from _portions("schema", database.execute("SELECT * FROM sqlite_master"))
            for name, kind in tables:
                if kind == b"table":
                    text = name.decode("utf-8", "replace")
                    rows = database.execute(f"SELECT * FROM {_quoted(text)}")  # noqa: S608 - quoted
                    yield from _portions(text, rows)
    except sqlite3.DataError as error:
        mebibytes = _MAX_CELL_BYTES // _MEBIBYTE
        raise UnreadableViewError(f"SQLite with a value of more than {mebibytes} MiB") from error
    except sqlite3.Error as error:
        raise UnreadableViewError(f"damaged SQLite: {_first_line(error)}") from error


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _portions(part: str, rows: Iterable[tuple[object, ...]]) -> Iterator[tuple[str, IO[bytes]]]:
    cells: list[bytes] = []
    first, size = 1, 0
    for number, row in enumerate(rows, start=1):
        for cell in row:
            if cell is not None:
                cells.append(_bytes(cell))
                size += len(cells[-1]) + _CELL_COST_BYTES
        if size > _PORTION_BYTES:
            yield f"{part} from row {first}", io.BytesIO(_SEPARATOR.join(cells))
            cells, first, size = [], number + 1, 0
    if cells:
        yield f"{part} from row {first}", io.BytesIO(_SEPARATOR.join(cells))


def _bytes(cell: object) -> bytes:
    return cell if isinstance(cell, bytes) else str(cell).encode("utf-8", "surrogateescape")


class _Passed(bytes):
    """Bytes that were passed over; they tell their number, for the opcodes' reader asks."""

    size = 0

    def __len__(self) -> int:
        return self.size


class _ShortReads:
    """A pickle without its longest arguments, which stand in one piece in the file's bytes."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int) -> bytes:
        if size <= _MAX_ARGUMENT_BYTES:
            return self._stream.read(size)
        passed = _Passed()
        while passed.size < size:
            piece = self._stream.read(min(size - passed.size, _PORTION_BYTES))
            if not piece:
                break
            passed.size += len(piece)
        return passed

    def readline(self) -> bytes:
        return self._stream.readline(_MAX_ARGUMENT_BYTES)

    def tell(self) -> int:
        return self._stream.tell()


def _pickle(stream: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    """The texts of a pickle's opcodes; nothing of it is executed."""
    texts: list[bytes] = []
    size = 0
    # It asks for no more of a stream than this has.
    content = cast("IO[bytes]", _ShortReads(stream))
    try:
        for opcode, argument, _ in pickletools.genops(content):
            if isinstance(argument, str | bytes | bytearray):
                text = argument if isinstance(argument, str) else bytes(argument)
                texts.append(_bytes(text))
                size += len(texts[-1])
            if size > _PORTION_BYTES:
                yield "opcodes", io.BytesIO(_SEPARATOR.join(texts))
                texts, size = [], 0
            if opcode.name == "STOP":
                break
    except (ValueError, UnicodeDecodeError) as error:
        raise UnreadableViewError(f"damaged pickle: {_first_line(error)}") from error
    if texts:
        yield "opcodes", io.BytesIO(_SEPARATOR.join(texts))


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
