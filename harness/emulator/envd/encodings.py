"""Which content encoding a download gets, and gzip as a stream in both directions.

Source: e2b-dev/infra packages/envd/internal/api/encoding.go.
Differs: a download in gzip is no smaller: the format is gzip's, the bytes in it are as they were.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

from harness.emulator.answers import ApiError

__all__ = ["accepts_identity", "choose_encoding", "compressed", "decompressed"]

_GZIP_WINDOW = 31
_SUPPORTED = ("gzip",)
# Every SDK accepts gzip, so every file comes here. Squeezing it would take twenty times as
# long as sending it, and there is no wire to save.
_COMPRESSION_LEVEL = 0
_MAX_INFLATED_PIECE = 256 * 1024


def choose_encoding(accept_encoding: str) -> str:
    """`gzip` or `identity`, whichever the client likes better.

    Raises:
        ApiError: 406 where it accepts neither.
    """
    weights = _weights(accept_encoding)
    identity = _accepts_identity(weights)
    for name, quality in sorted(weights, key=lambda item: -item[1]):
        if quality == 0:
            continue
        if name == "identity":
            return "identity"
        if name == "*":
            return "identity" if identity else "gzip"
        if name in _SUPPORTED:
            return name
    if not identity:
        raise ApiError(
            406,
            "error parsing Accept-Encoding: no acceptable encoding found, supported: [gzip]",
        )
    return "identity"


def accepts_identity(accept_encoding: str) -> bool:
    """Whether the client takes the bytes as they are."""
    return _accepts_identity(_weights(accept_encoding))


async def compressed(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The bytes in gzip's format."""
    compressor = zlib.compressobj(_COMPRESSION_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    async for chunk in chunks:
        piece = compressor.compress(chunk)
        if piece:
            yield piece
    yield compressor.flush()


async def decompressed(chunks: AsyncIterator[bytes], content_encoding: str) -> AsyncIterator[bytes]:
    """The bytes of an upload as they are to be written, in bounded pieces.

    Raises:
        ApiError: 400 for an encoding that is not known, or bytes that are not gzip.
    """
    encoding = content_encoding.partition(";")[0].strip().lower()
    if encoding not in {"", "identity", "gzip"}:
        raise ApiError(
            400,
            "error decompressing request body: unsupported Content-Encoding: "
            f"{content_encoding}, supported: [gzip]",
        )
    if encoding != "gzip":
        async for chunk in chunks:
            yield chunk
        return
    inflater = zlib.decompressobj(_GZIP_WINDOW)
    async for chunk in chunks:
        rest = chunk
        while rest:
            if inflater.eof:  # a further gzip member
                inflater = zlib.decompressobj(_GZIP_WINDOW)
            try:
                piece = inflater.decompress(rest, _MAX_INFLATED_PIECE)
            except zlib.error as error:
                raise ApiError(400, f"error decompressing request body: {error}") from error
            rest = inflater.unconsumed_tail or inflater.unused_data
            if piece:
                yield piece
    if not inflater.eof:
        raise ApiError(400, "error decompressing request body: unexpected EOF")


def _weights(accept_encoding: str) -> list[tuple[str, float]]:
    return [_weight(value) for value in accept_encoding.split(",") if value.strip()]


def _weight(value: str) -> tuple[str, float]:
    name, *parameters = (part.strip() for part in value.split(";"))
    quality = 1.0
    for parameter in parameters:
        if parameter.lower().startswith("q="):
            try:
                quality = float(parameter[2:])
            except ValueError:
                continue  # as envd: a weight that is no number is no weight
    return name.lower(), quality


def _accepts_identity(weights: list[tuple[str, float]]) -> bool:
    named = [quality for name, quality in weights if name == "identity"]
    if named:
        return any(quality > 0 for quality in named)
    return not any(name == "*" and quality == 0 for name, quality in weights)
