"""What a Parquet file says of itself: its columns, and where their pages stand.

Read field by field from the file, so that neither ten thousand row groups nor a name
without end costs memory. Source: apache/parquet-format src/main/thrift/parquet.thrift.
"""

from __future__ import annotations

import io
import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import IO, cast

from harness.redaction.pieces import UnreadableViewError
from harness.redaction.thrift_compact import Kind, MalformedError, ThriftReader

__all__ = ["Chunk", "Column", "Physical", "chunks", "section"]

_MAGIC, _ENCRYPTED_MAGIC = b"PAR1", b"PARE"


class Physical(IntEnum):
    """How a column's values are stored."""

    BOOLEAN = 0
    INT32 = 1
    INT64 = 2
    INT96 = 3
    FLOAT = 4
    DOUBLE = 5
    BYTE_ARRAY = 6
    FIXED = 7


_FOOTER_END_BYTES = 8
_MAX_COLUMNS = 50_000
_BUFFER_BYTES = 64 * 1024
_CONVERTED_DECIMAL = 5
_CONVERTED_UNSIGNED = range(11, 15)
_LOGICAL_INTEGER, _LOGICAL_UUID = 10, 14
_REQUIRED, _REPEATED = 0, 2
# Numbers of fields that are numbers, and what they mean.
_OF_ELEMENT = {1: "physical", 2: "width_bytes", 3: "repetition", 5: "children", 7: "scale"}
_WIDTHS = {
    Physical.INT32: 4,
    Physical.FLOAT: 4,
    Physical.INT64: 8,
    Physical.DOUBLE: 8,
    Physical.INT96: 12,
}
_UUID_BYTES = 16
# Numbers of the fields of a chunk and of what it says of its column.
_ENCRYPTION = (8, 9)
_CODEC, _VALUES, _PACKED_BYTES, _DATA_AT, _DICTIONARY_AT = _TOLD = 4, 5, 7, 9, 11
_CODECS = {
    0: "uncompressed",
    1: "snappy",
    2: "gzip",
    3: "lzo",
    4: "brotli",
    5: "lz4 in frames of Hadoop",
    6: "zstd",
    7: "lz4",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of single values; a nested one is several of these.

    Attributes:
        name: with those of what it is nested in, separated by points.
        physical: how its values are stored.
        width_bytes: of each value, if it is fixed.
        definition_max: how deep an absent value may be told.
        repetition_max: how many lists it is in.
        scale: digits behind the point, of a decimal number; None for what is none.
        unsigned: its numbers have no sign.
        uuid: its values are UUIDs.
    """

    name: str
    physical: Physical
    width_bytes: int
    definition_max: int
    repetition_max: int
    scale: int | None
    unsigned: bool
    uuid: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """What one row group holds of one column.

    Attributes:
        column: the column.
        first_row: the number of the row group's first row.
        encrypted: its pages are.
        elsewhere: they are in another file.
        codec: how its pages are packed.
        values: how many there are, absent ones included.
        start: where in the file its pages begin.
        size_bytes: how long they are.
    """

    column: Column
    first_row: int
    encrypted: bool = False
    elsewhere: bool = False
    codec: str = ""
    values: int = 0
    start: int = 0
    size_bytes: int = 0


@dataclass(slots=True)
class _Element:
    name: str = ""
    physical: int = -1
    width_bytes: int = 0
    repetition: int = 0
    children: int = 0
    scale: int | None = None
    unsigned: bool = False
    uuid: bool = False


class _Section(io.RawIOBase):
    """A part of a file, with a place of its own."""

    def __init__(self, descriptor: int, start: int, end: int) -> None:
        self._descriptor = descriptor
        self._position = start
        self._end = end

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # any buffer will do
        wanted = min(len(buffer), self._end - self._position)
        if wanted <= 0:
            return 0
        size = os.preadv(self._descriptor, [buffer[:wanted]], self._position)
        self._position += size
        return size


def section(descriptor: int, start: int, end: int) -> IO[bytes]:
    """The bytes of an open file from `start` to before `end`."""
    return cast("IO[bytes]", io.BufferedReader(_Section(descriptor, start, end), _BUFFER_BYTES))


def chunks(descriptor: int) -> Iterator[Chunk]:
    """Everything that a Parquet file says it holds, row group by row group.

    Raises:
        MalformedError: if it is damaged. Chunks before the damage have been yielded.
        UnreadableViewError: if it is encrypted.
    """
    size_bytes = os.fstat(descriptor).st_size
    end = os.pread(descriptor, _FOOTER_END_BYTES, max(size_bytes - _FOOTER_END_BYTES, 0))
    if end[4:] == _ENCRYPTED_MAGIC:
        raise UnreadableViewError("encrypted Parquet")
    start = size_bytes - _FOOTER_END_BYTES - int.from_bytes(end[:4], "little")
    if end[4:] != _MAGIC or start < len(_MAGIC):
        raise MalformedError("it does not end as Parquet does")
    reader = ThriftReader(section(descriptor, start, size_bytes - _FOOTER_END_BYTES))
    columns: list[Column] | None = None
    row = 1
    for number, kind in reader.fields():
        if number == 2:  # noqa: PLR2004 - of the schema
            columns = _columns(_elements(reader, kind))
        elif number == 4:  # noqa: PLR2004 - of the row groups
            if columns is None:
                raise MalformedError("row groups before their schema")
            for _ in reader.elements(kind):
                row += yield from _row_group(reader, columns, row)
        else:
            reader.skip(kind)
    if columns is None:
        raise MalformedError("no schema")


def _elements(reader: ThriftReader, kind: Kind) -> Iterator[_Element]:
    for _ in reader.elements(kind):
        element = _Element()
        for number, inner in reader.fields():
            if number in _OF_ELEMENT:
                setattr(element, _OF_ELEMENT[number], reader.integer(inner))
            elif number == 4:  # noqa: PLR2004 - of the name
                element.name = reader.text(inner).decode("utf-8", "replace")
            elif number == 6:  # noqa: PLR2004 - of what the values mean, in older files
                _converted(element, reader.integer(inner))
            elif number == 10:  # noqa: PLR2004 - of what they mean, in newer ones
                _logical(reader, element)
            else:
                reader.skip(inner)
        yield element


def _converted(element: _Element, number: int) -> None:
    element.unsigned = element.unsigned or number in _CONVERTED_UNSIGNED
    if number == _CONVERTED_DECIMAL:
        element.scale = element.scale or 0


def _logical(reader: ThriftReader, element: _Element) -> None:
    for number, kind in reader.fields():
        if number == _LOGICAL_INTEGER:
            for inner, inner_kind in reader.fields():
                if inner == 2 and inner_kind is Kind.FALSE:  # noqa: PLR2004 - whether it is signed
                    element.unsigned = True
                if inner_kind not in {Kind.TRUE, Kind.FALSE}:
                    reader.skip(inner_kind)
        else:
            element.uuid = element.uuid or number == _LOGICAL_UUID
            reader.skip(kind)


@dataclass(slots=True)
class _Parent:
    name: str
    children: int
    definition: int = 0
    repetition: int = 0


def _columns(elements: Iterator[_Element]) -> list[Column]:
    """The leaves of the tree that the elements are, parents before their children."""
    found: list[Column] = []
    root = next(elements, _Element())
    parents = [_Parent("", root.children)]
    for seen, element in enumerate(elements):
        while parents and not parents[-1].children:
            parents.pop()
        if not parents or seen == _MAX_COLUMNS:
            raise MalformedError(f"columns that belong to nothing, or more than {_MAX_COLUMNS}")
        above = parents[-1]
        above.children -= 1
        here = _Parent(
            name=f"{above.name}.{element.name}" if above.name else element.name,
            children=element.children,
            definition=above.definition + (element.repetition != _REQUIRED),
            repetition=above.repetition + (element.repetition == _REPEATED),
        )
        if element.children > 0:
            parents.append(here)
        else:
            found.append(_column(element, here))
    return found


def _column(element: _Element, place: _Parent) -> Column:
    try:
        physical = Physical(element.physical)
    except ValueError:
        raise MalformedError(f"values of the kind {element.physical}") from None
    width_bytes = _WIDTHS.get(physical, element.width_bytes)
    if physical is Physical.FIXED and width_bytes <= 0:
        raise MalformedError(f"values of {width_bytes} bytes")
    return Column(
        name=place.name,
        physical=physical,
        width_bytes=width_bytes,
        definition_max=place.definition,
        repetition_max=place.repetition,
        scale=element.scale,
        unsigned=element.unsigned,
        uuid=element.uuid and width_bytes == _UUID_BYTES,
    )


def _row_group(
    reader: ThriftReader, columns: list[Column], first_row: int
) -> Generator[Chunk, None, int]:
    """Its chunks, each with the column that it is of; returns how many rows it has."""
    rows = 0
    for number, kind in reader.fields():
        if number == 1:
            left = iter(columns)
            for _ in reader.elements(kind):
                column = next(left, None)
                if column is None:
                    raise MalformedError("a row group with more columns than the schema")
                yield _chunk(reader, column, first_row)
            if next(left, None) is not None:
                raise MalformedError("a row group with fewer columns than the schema")
        elif number == 3:  # noqa: PLR2004 - of the number of rows
            rows = reader.integer(kind)
        else:
            reader.skip(kind)
    return rows


def _chunk(reader: ThriftReader, column: Column, first_row: int) -> Chunk:
    told: dict[int, int] = {}
    encrypted = elsewhere = False
    for number, kind in reader.fields():
        if number == 3 and kind is Kind.STRUCT:  # noqa: PLR2004 - of what is said of the column
            for inner, inner_kind in reader.fields():
                if inner in _TOLD:
                    told[inner] = reader.integer(inner_kind)
                else:
                    reader.skip(inner_kind)
            continue
        elsewhere = elsewhere or number == 1
        encrypted = encrypted or number in _ENCRYPTION
        reader.skip(kind)
    dictionary, data = told.get(_DICTIONARY_AT, 0), told.get(_DATA_AT, 0)
    return Chunk(
        column=column,
        first_row=first_row,
        encrypted=encrypted,
        elsewhere=elsewhere,
        codec=_CODECS.get(told.get(_CODEC, -1), "an unknown compression"),
        values=told.get(_VALUES, 0),
        start=dictionary if 0 < dictionary < data else data,
        size_bytes=told.get(_PACKED_BYTES, 0),
    )
