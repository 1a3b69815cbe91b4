"""Thrift's compact protocol, as far as Parquet's metadata needs it, read from a stream.

Values are asked for field by field, so that metadata of any length costs no memory.
Source: apache/thrift doc/specs/thrift-compact-protocol.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import IO

__all__ = ["Kind", "MalformedError", "ThriftReader"]

_MAX_TEXT_BYTES = 64 * 1024
_MAX_DEPTH = 32
_MAX_VARINT_BITS = 70
_LONG_LIST = 15
_PIECE_BYTES = 64 * 1024


class MalformedError(Exception):
    """The bytes are not what they should be; the message says what was met."""


class Kind(IntEnum):
    """What a field holds."""

    TRUE = 1
    FALSE = 2
    BYTE = 3
    I16 = 4
    I32 = 5
    I64 = 6
    DOUBLE = 7
    BINARY = 8
    LIST = 9
    SET = 10
    MAP = 11
    STRUCT = 12
    UUID = 13


_FIXED_BYTES = {Kind.BYTE: 1, Kind.DOUBLE: 8, Kind.UUID: 16}
_INTEGERS = frozenset({Kind.I16, Kind.I32, Kind.I64})


class ThriftReader:
    """Reads structures; of each field exactly one of the other methods must be called.

    Args:
        stream: from where the structure begins. The reader takes no byte too many.

    Attributes:
        taken_bytes: how many it has taken.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.taken_bytes = 0

    def fields(self) -> Iterator[tuple[int, Kind]]:
        """The number and the kind of each field of the structure that begins here.

        Raises:
            MalformedError: if there is no such structure.
        """
        number = 0
        while (header := self._byte()) & 0x0F:
            step = header >> 4
            number = number + step if step else _signed(self.varint())
            yield number, self._kind(header & 0x0F)
        if header:
            raise MalformedError("a field without a kind")

    def integer(self, kind: Kind) -> int:
        """A number of any size.

        Raises:
            MalformedError: if the field holds none.
        """
        if kind is Kind.BYTE:
            return self._byte()
        if kind not in _INTEGERS:
            raise MalformedError(f"a {kind.name} where a number should be")
        return _signed(self.varint())

    def text(self, kind: Kind) -> bytes:
        """Bytes, not more than 64 KiB.

        Raises:
            MalformedError: if the field holds none, or more.
        """
        if kind is not Kind.BINARY:
            raise MalformedError(f"a {kind.name} where a text should be")
        size = self.varint()
        if size > _MAX_TEXT_BYTES:
            raise MalformedError(f"a name of {size} bytes")
        return self.exactly(size)

    def elements(self, kind: Kind) -> Iterator[Kind]:
        """For each element of a list its kind; each must be read before the next.

        Raises:
            MalformedError: if the field holds no list.
        """
        if kind not in {Kind.LIST, Kind.SET}:
            raise MalformedError(f"a {kind.name} where a list should be")
        header = self._byte()
        size = header >> 4
        size = self.varint() if size == _LONG_LIST else size
        for _ in range(size):  # of an empty list some writers say no kind
            yield self._kind(header & 0x0F)

    def skip(self, kind: Kind, depth: int = 0) -> None:
        """Passes over a value of any kind.

        Raises:
            MalformedError: if it has no end, or is nested too deeply.
        """
        if depth > _MAX_DEPTH:
            raise MalformedError("structures without end in each other")
        if kind in _FIXED_BYTES:
            self._pass(_FIXED_BYTES[kind])
        elif kind in _INTEGERS:
            self.varint()
        elif kind is Kind.BINARY:
            self._pass(self.varint())
        elif kind is Kind.STRUCT:
            for _, inner in self.fields():
                self.skip(inner, depth + 1)
        elif kind is Kind.MAP:
            self._skip_map(depth + 1)
        elif kind not in {Kind.TRUE, Kind.FALSE}:  # as a field these are their own value
            for inner in self.elements(kind):
                self._skip_element(inner, depth + 1)

    def varint(self) -> int:
        """A number without a sign.

        Raises:
            MalformedError: if it does not end.
        """
        value = shift = 0
        while shift < _MAX_VARINT_BITS:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004 - the bit that says that it goes on
                return value
            shift += 7
        raise MalformedError("a number without end")

    def signed(self) -> int:
        """A number with a sign, in zigzag."""
        return _signed(self.varint())

    def exactly(self, size: int) -> bytes:
        """So many bytes.

        Raises:
            MalformedError: if there are fewer.
        """
        data = self._stream.read(size)
        self.taken_bytes += size
        if len(data) < size:
            raise MalformedError("it ends before its end")
        return data

    def _skip_map(self, depth: int) -> None:
        size = self.varint()
        kinds = self._byte() if size else 0
        for _ in range(size):
            self._skip_element(self._kind(kinds >> 4), depth)
            self._skip_element(self._kind(kinds & 0x0F), depth)

    def _skip_element(self, kind: Kind, depth: int) -> None:
        # In a list or a map a boolean takes a byte.
        self.skip(Kind.BYTE if kind in {Kind.TRUE, Kind.FALSE} else kind, depth)

    def _pass(self, size: int) -> None:
        while size > 0:
            size -= len(self.exactly(min(size, _PIECE_BYTES)))

    def _byte(self) -> int:
        return self.exactly(1)[0]

    def _kind(self, number: int) -> Kind:
        try:
            return Kind(number)
        except ValueError:
            raise MalformedError(f"a value of kind {number}") from None


def _signed(value: int) -> int:
    return (value >> 1) ^ -(value & 1)
