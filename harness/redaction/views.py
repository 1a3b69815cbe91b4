"""Formats that hide what is in them: Parquet, SQLite and pickle, read as text.

Parquet compresses and splits its columns, SQLite splits long values over pages, a
pickle splits long ones into frames. Each is read by its format; a pickle is taken
apart and never loaded. What is not readable is said, for then it was not searched.
"""

from __future__ import annotations

import os
import pickletools
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import IO

import duckdb

__all__ = ["MAX_VIEWED_BYTES", "UnreadableViewError", "has_view", "view_of"]

MAX_VIEWED_BYTES = 256 * 1024 * 1024
_ROWS = 1000
_CHUNK_BYTES = 1024 * 1024
_SEPARATOR = b"\n"
_PICKLE_PROTOCOLS = range(2, 6)
_FIRST_OPCODES = b"\x95(])}cXUVKGMNI.\x8c\x8b\x8e\x8d\x8f\x88\x89\x80"


class UnreadableViewError(Exception):
    """A file is not what its first bytes say; the message says why."""


def has_view(head: bytes) -> bool:
    """Whether a file that begins so is read by its format."""
    return _reader(head) is not None


def view_of(head: bytes, stream: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    """The texts in a file, in portions, each with the name of the part that it is of.

    Args:
        head: the first bytes.
        stream: the file, from its beginning.

    Raises:
        UnreadableViewError: if it cannot be read to its end.
    """
    reader = _reader(head)
    if reader is not None:
        yield from reader(stream)


def _reader(head: bytes) -> Callable[[IO[bytes]], Iterator[tuple[str, bytes]]] | None:
    if head.startswith(b"PAR1"):
        return _parquet
    if head.startswith(b"SQLite format 3\0"):
        return _sqlite
    if len(head) > 2 and head[0] == 0x80 and head[1] in _PICKLE_PROTOCOLS:  # noqa: PLR2004 - the opcode PROTO
        return _pickle if head[2] in _FIRST_OPCODES else None
    return None


def _content(stream: IO[bytes]) -> bytes:
    content = stream.read(MAX_VIEWED_BYTES + 1)
    if len(content) > MAX_VIEWED_BYTES:
        raise UnreadableViewError(f"more than {MAX_VIEWED_BYTES // 1024**2} MiB, not read")
    return content


def _parquet(stream: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    # A file in memory alone: what is searched is not written to a disk again.
    descriptor = os.memfd_create("scanned", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(_content(stream))
        path = f"/proc/self/fd/{descriptor}"
        with closing(duckdb.connect(config={"threads": 1})) as database:
            database.execute("SET memory_limit = '512MB'")
            rows = database.execute("SELECT COLUMNS(*)::VARCHAR FROM read_parquet(?)", [path])
            yield from _rows("table", rows.fetchmany)
            metadata = database.execute("SELECT key, value FROM parquet_kv_metadata(?)", [path])
            yield from _rows("metadata", metadata.fetchmany)
    except duckdb.Error as error:
        raise UnreadableViewError(f"damaged Parquet: {_first_line(error)}") from error
    finally:
        os.close(descriptor)


def _sqlite(stream: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    content = _content(stream)
    # One in write-ahead mode cannot be opened in memory; bytes 18 and 19 say the mode.
    content = content[:18] + b"\x01\x01" + content[20:]
    try:
        with closing(sqlite3.connect(":memory:")) as database:
            database.deserialize(content)
            database.text_factory = bytes
            tables = database.execute("SELECT name, type FROM sqlite_master").fetchall()
            yield from _rows("schema", database.execute("SELECT * FROM sqlite_master").fetchmany)
            for name, kind in tables:
                if kind == b"table":
                    quoted = name.decode("utf-8", "replace").replace('"', '""')
                    rows = database.execute(f'SELECT * FROM "{quoted}"')  # noqa: S608 - quoted
                    yield from _rows(quoted, rows.fetchmany)
    except sqlite3.Error as error:
        raise UnreadableViewError(f"damaged SQLite: {_first_line(error)}") from error


def _rows(
    part: str, fetch: Callable[[int], list[tuple[object, ...]]]
) -> Iterator[tuple[str, bytes]]:
    first = 1
    while rows := fetch(_ROWS):
        cells = (_bytes(cell) for row in rows for cell in row if cell is not None)
        yield f"{part} from row {first}", _SEPARATOR.join(cells)
        first += len(rows)


def _bytes(cell: object) -> bytes:
    return cell if isinstance(cell, bytes) else str(cell).encode("utf-8", "surrogateescape")


def _pickle(stream: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    """The texts of a pickle's opcodes; nothing of it is executed."""
    texts: list[bytes] = []
    size = 0
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            if isinstance(argument, str | bytes | bytearray):
                text = argument if isinstance(argument, str) else bytes(argument)
                texts.append(_bytes(text))
                size += len(texts[-1])
            if size > _CHUNK_BYTES:
                yield "opcodes", _SEPARATOR.join(texts)
                texts, size = [], 0
            if opcode.name == "STOP":
                break
    except (ValueError, UnicodeDecodeError) as error:
        raise UnreadableViewError(f"damaged pickle: {_first_line(error)}") from error
    if texts:
        yield "opcodes", _SEPARATOR.join(texts)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
