"""envd's route /files: downloads and uploads, streamed both ways.

Source: e2b-dev/infra packages/envd/internal/api/download.go and upload.go.
"""

from __future__ import annotations

import json
import mimetypes
import re
from collections.abc import AsyncIterator, Mapping
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from harness.clock import parse_instant
from harness.emulator.answers import ApiError
from harness.emulator.envd.caller import Caller
from harness.emulator.envd.download import FileStream, open_file
from harness.emulator.envd.encodings import (
    accepts_identity,
    choose_encoding,
    compressed,
    decompressed,
)
from harness.emulator.envd.multipart import MultipartError, boundary_of, read_parts
from harness.emulator.isolation import GuestError

__all__ = ["download", "file_error", "upload"]

_METADATA_PREFIX = "x-metadata-"
_STATUS = {
    "not_found": 404,
    "invalid_argument": 400,
    "unauthenticated": 401,
    "resource_exhausted": 507,
    "already_exists": 400,
}
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
MAX_METADATA_KEY_BYTES = 246
MAX_METADATA_BYTES = 4096
_METADATA_NAMESPACE = "user.e2b."
_CONDITIONS = ("range", "if-modified-since", "if-none-match", "if-range")


def file_error(error: GuestError) -> ApiError:
    """The guest's refusal as /files answers it."""
    return ApiError(_STATUS.get(error.code, 500), error.message)


async def download(caller: Caller) -> Response:
    """`GET /files`: the bytes of one file, or of a range of it.

    Raises:
        ApiError: 404 where nothing is there, 400 for a directory, 406 for an encoding
            that cannot be had, 416 for a range outside the file.
    """
    request = caller.request
    path = request.query_params.get("path", "")
    user = request.query_params.get("username") or caller.life.asked.template.image.user
    caller.exchange.entry.details = {"path": path}
    source = await open_file(caller, path=path, user=user)
    try:
        return _download_answer(request, source)
    except BaseException:
        await source.close()
        raise


def _download_answer(request: Request, source: FileStream) -> Response:
    accept_encoding = request.headers.get("accept-encoding", "")
    encoding = choose_encoding(accept_encoding)
    if any(request.headers.get(name) for name in _CONDITIONS):
        if not accepts_identity(accept_encoding):
            raise ApiError(406, "identity encoding not acceptable for Range or conditional request")
        encoding = "identity"
    headers = _download_headers(source.entry)
    if encoding == "gzip":
        headers["content-encoding"] = "gzip"
        return source.answer(headers, transform=compressed)
    headers["accept-ranges"] = "bytes"
    size = source.entry.get("size") or 0
    asked = _asked_range(request.headers.get("range", ""), size)
    if asked is None:
        # /proc names no size for files that have content.
        if size:
            headers["content-length"] = str(size)
        return source.answer(headers)
    start, end = asked
    headers["content-range"] = f"bytes {start}-{end}/{size}"
    headers["content-length"] = str(end - start + 1)
    return source.answer(headers, status=206, offset=start, length=end - start + 1)


def _download_headers(entry: Mapping[str, Any]) -> dict[str, str]:
    name = entry["name"]
    headers = {
        "content-disposition": _disposition(name),
        "content-type": _content_type(name),
        "vary": "Accept-Encoding",
    }
    if entry.get("modified"):
        modified = parse_instant(entry["modified"])
        headers["last-modified"] = format_datetime(modified, usegmt=True)
    return headers


def _disposition(name: str) -> str:
    if name.isascii() and name.isprintable() and not set(name) & set('"\\'):
        plain = all(char.isalnum() or char in "!#$&+-.^_`|~" for char in name)
        return f"inline; filename={name}" if plain else f'inline; filename="{name}"'
    return f"inline; filename*=utf-8''{quote(name, safe='')}"


def _content_type(name: str) -> str:
    guessed, _ = mimetypes.guess_type(name)
    if guessed is None:
        return "application/octet-stream"
    return f"{guessed}; charset=utf-8" if guessed.startswith("text/") else guessed


def _asked_range(header: str, size: int) -> tuple[int, int] | None:
    """The first and last byte asked for; None for the whole file."""
    match = _RANGE.fullmatch(header.strip())
    if match is None or not size or match.group() == "bytes=-":
        return None
    first, last = match.groups()
    if first:
        start, end = int(first), min(int(last) if last else size - 1, size - 1)
    else:
        start, end = max(0, size - int(last)), size - 1
    if start > end:
        raise ApiError(
            416, "invalid range: failed to overlap", headers={"Content-Range": f"bytes */{size}"}
        )
    return start, end


async def upload(caller: Caller) -> Response:
    """`POST /files`: writes one file from the body, or each file of a multipart body.

    Raises:
        ApiError: 400 for a body or path that does not fit, 401 for an unknown user, 507
            where the disk is full.
    """
    request = caller.request
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    metadata = _metadata(request.headers)
    body = decompressed(_body(request), request.headers.get("content-encoding", ""))
    if media_type == "application/octet-stream":
        path = request.query_params.get("path")
        if path is None:
            raise ApiError(400, "path query parameter is required for raw body upload")
        written = [await _write(caller, path, body, metadata)]
    elif media_type.startswith("multipart/"):
        written = await _write_parts(caller, body, metadata)
    else:
        raise ApiError(
            400,
            f"unsupported content type: {request.headers.get('content-type', '')}, expected "
            "multipart/form-data or application/octet-stream",
        )
    caller.exchange.entry.details = {
        "files": [{"path": info["path"], "size": size} for info, size in written]
    }
    answer = json.dumps([info for info, _ in written], separators=(",", ":"))
    # Without a content type of its own, Go's server calls JSON plain text.
    return Response(answer, headers={"content-type": "text/plain; charset=utf-8"})


async def _body(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect as error:
        raise ApiError(400, "error reading request body: unexpected EOF") from error


async def _write_parts(
    caller: Caller, body: AsyncIterator[bytes], metadata: dict[str, str]
) -> list[tuple[dict[str, Any], int]]:
    written: list[tuple[dict[str, Any], int]] = []
    targets: set[str] = set()
    path = caller.request.query_params.get("path")
    try:
        boundary = boundary_of(caller.request.headers["content-type"])
        async for part in read_parts(body, boundary):
            if part.name != "file":
                continue
            target = path if path is not None else part.filename
            if target is None:
                raise ApiError(400, "filename not found in Content-Disposition header")
            if target in targets:
                raise ApiError(
                    400,
                    f"you cannot upload multiple files to the same path '{target}' in one "
                    "upload request, only the first specified file was uploaded",
                )
            targets.add(target)
            written.append(await _write(caller, target, part.content, metadata))
    except MultipartError as error:
        raise ApiError(500, str(error)) from error
    return written


async def _write(
    caller: Caller, path: str, content: AsyncIterator[bytes], metadata: dict[str, str]
) -> tuple[dict[str, Any], int]:
    user = caller.request.query_params.get("username") or caller.life.asked.template.image.user
    size = 0
    try:
        async with caller.guest.stream(
            "fs.write", path=path, user=user, metadata=metadata
        ) as stream:
            async for chunk in content:
                size += len(chunk)
                await stream.send(chunk)
            await stream.send_eof()
            async for _ in stream:
                pass
    except GuestError as error:
        raise file_error(error) from error
    entry = stream.result["entry"]
    info = {"path": entry["path"], "name": entry["name"], "type": "file"}
    if entry.get("metadata"):
        info["metadata"] = entry["metadata"]
    return info, size


def _metadata(headers: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers.items():
        if name.lower().startswith(_METADATA_PREFIX):
            found.setdefault(name.lower().removeprefix(_METADATA_PREFIX), value)
    for key, value in found.items():
        if not key or not all(" " <= char <= "~" for char in key + value):
            raise ApiError(400, f"invalid metadata: {key!r} is not printable US-ASCII")
        if len(key) > MAX_METADATA_KEY_BYTES:
            raise ApiError(400, f"invalid metadata: key {key!r} is too long")
    total = sum(len(_METADATA_NAMESPACE) + len(key) + len(value) for key, value in found.items())
    if total > MAX_METADATA_BYTES:
        raise ApiError(400, f"invalid metadata: {total} bytes exceed {MAX_METADATA_BYTES}")
    return found
