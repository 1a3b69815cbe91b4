"""Reads a multipart upload as it arrives, part by part, without holding a file in memory.

The frameworks' parsers strip directories from a part's filename; envd's clients put
the whole path there, so the header is read here.
Source: e2b-dev/infra packages/envd/internal/utils/multipart.go.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import unquote

__all__ = ["MultipartError", "Part", "boundary_of", "read_parts"]

MAX_HEADER_BYTES = 64 * 1024
_PARAMETER = re.compile(r';\s*([\w!#$&+.^`|~*-]+)\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^;\s]*))')
_ESCAPED = re.compile(r'\\(["\\])')


class MultipartError(ValueError):
    """The body is not what its content type says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part.

    Attributes:
        name: of the form field.
        filename: as it came, directories included; None where there is none.
        content: its bytes; to be read to the end before the next part.
    """

    name: str
    filename: str | None
    content: AsyncIterator[bytes]


def boundary_of(content_type: str) -> bytes:
    """The boundary of a multipart content type.

    Raises:
        MultipartError: where it has none.
    """
    boundary = _parameters(content_type).get("boundary", "")
    if not boundary:
        raise MultipartError("no multipart boundary param in Content-Type")
    return boundary.encode("latin-1")


async def read_parts(chunks: AsyncIterator[bytes], boundary: bytes) -> AsyncIterator[Part]:
    """The parts of a body.

    Args:
        chunks: the body as it arrives.
        boundary: what separates the parts.

    Raises:
        MultipartError: where the body ends too early or a header is malformed.
    """
    source = _Source(chunks)
    # The first boundary has no line before it; giving it one makes all of them alike.
    source.buffer += b"\r\n"
    delimiter = b"\r\n--" + boundary
    async for _ in source.until(delimiter):
        pass  # what stands before the first boundary is for nobody
    while not await source.at_closing():
        disposition = await source.header("content-disposition")
        parameters = _parameters(disposition)
        content = source.until(delimiter)
        yield Part(
            name=parameters.get("name", ""),
            filename=parameters.get("filename"),
            content=content,
        )
        async for _ in content:
            pass  # whatever the reader left over


class _Source:
    """The body, buffered no further than a delimiter may reach."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self.buffer = bytearray()
        self._chunks = chunks

    async def _fill(self) -> None:
        async for chunk in self._chunks:
            if chunk:
                self.buffer += chunk
                return
        raise MultipartError("error reading form: unexpected EOF")

    async def until(self, delimiter: bytes) -> AsyncIterator[bytes]:
        """Bytes up to a delimiter, which is consumed."""
        keep = len(delimiter) - 1
        while (found := self.buffer.find(delimiter)) < 0:
            ready = len(self.buffer) - keep
            if ready > 0:
                data = bytes(self.buffer[:ready])
                del self.buffer[:ready]
                yield data
            await self._fill()
        data = bytes(self.buffer[:found])
        del self.buffer[: found + len(delimiter)]
        if data:
            yield data

    async def at_closing(self) -> bool:
        """Whether the boundary just read was the last one."""
        while len(self.buffer) < 2:  # noqa: PLR2004 - `--` or the end of the line
            await self._fill()
        return self.buffer.startswith(b"--")

    async def header(self, wanted: str) -> str:
        """One header of the part that begins here; all of them are consumed."""
        while (end := self.buffer.find(b"\r\n\r\n")) < 0:
            if len(self.buffer) > MAX_HEADER_BYTES:
                raise MultipartError("a part's header is too large")
            await self._fill()
        lines = bytes(self.buffer[:end]).decode("utf-8", "surrogateescape").split("\r\n")
        del self.buffer[: end + 4]
        for line in lines:
            name, _, value = line.partition(":")
            if name.strip().lower() == wanted:
                return value.strip()
        return ""


def _parameters(header: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, quoted, plain in _PARAMETER.findall(header):
        key = name.lower()
        value = _ESCAPED.sub(r"\1", quoted) if quoted else plain
        if key.endswith("*"):
            key, value = key[:-1], unquote(value.rpartition("'")[2])
        elif key == "filename":
            # Browsers and httpx write these three as percent codes inside the quotes.
            value = value.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
        found[key] = value
    return found
