"""Routes of volumes, and of their content.

Source: e2b 2.63.0 e2b/volume/client/api/volumes and e2b/api/client/api/volumes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, BinaryIO, TypeVar

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from harness.clock import format_instant
from harness.emulator.answers import ApiError, JsonAnswer, empty_answer, request_error
from harness.emulator.control_plane.bodies import read_body
from harness.emulator.exchange import exchange_of
from harness.emulator.routes import Route
from harness.emulator.service import EmulatedService
from harness.emulator.volume_files import Owner, VolumeEntry
from harness.emulator.volumes import Volume

__all__ = ["CONTENT_PREFIX", "VolumeRoutes"]

CONTENT_PREFIX = "/volumecontent/"
MAX_MODE = 0o7777
MAX_ID = 65535
_PIECE_BYTES = 256 * 1024
_Result = TypeVar("_Result")
_LINKS = "a path through a symlink is not found"


class VolumeRoutes:
    """Answers for volumes.

    Args:
        service: the emulator.
    """

    def __init__(self, service: EmulatedService) -> None:
        self._volumes = service.volumes

    def routes(self) -> list[Route]:
        """The routes that this class answers."""
        one = "/volumes/{volume_id}"
        content = f"{CONTENT_PREFIX}{{volume_id}}"
        path, folder, file = f"{content}/path", f"{content}/dir", f"{content}/file"
        return [
            Route(method="GET", pattern="/volumes", handler=self.list),
            Route(method="POST", pattern="/volumes", handler=self.create),
            Route(method="GET", pattern=one, handler=self.get),
            Route(method="DELETE", pattern=one, handler=self.delete),
            Route(method="GET", pattern=path, handler=self.stat, differs=_LINKS),
            Route(method="PATCH", pattern=path, handler=self.update, differs=_LINKS),
            Route(method="DELETE", pattern=path, handler=self.remove, differs=_LINKS),
            Route(method="GET", pattern=folder, handler=self.walk, differs=_LINKS),
            Route(method="POST", pattern=folder, handler=self.make_dir, differs=_LINKS),
            Route(method="GET", pattern=file, handler=self.read, differs=_LINKS),
            Route(method="PUT", pattern=file, handler=self.write, differs=_LINKS),
        ]

    async def list(self, request: Request) -> Response:
        """`GET /volumes`."""
        del request
        found = self._volumes.all()
        return JsonAnswer([{"volumeID": one.volume_id, "name": one.name} for one in found])

    async def create(self, request: Request) -> Response:
        """`POST /volumes`."""
        body = await read_body(request, {"name": str})
        name = body.get("name")
        if name is None:
            raise ApiError(400, 'validation error: property "name" is missing')
        volume = await self._volumes.create(name)
        exchange_of(request).entry.details = {"volume": volume.name}
        return JsonAnswer(_with_token(volume), status=201)

    async def get(self, request: Request, volume_id: str) -> Response:
        """`GET /volumes/{id}`: with the token of its content."""
        del request
        return JsonAnswer(_with_token(self._volumes.get(volume_id)))

    async def delete(self, request: Request, volume_id: str) -> Response:
        """`DELETE /volumes/{id}`."""
        del request
        await self._volumes.delete(volume_id)
        return empty_answer()

    async def stat(self, request: Request, volume_id: str) -> Response:
        """`GET …/path`."""
        volume, path = self._opened(request, volume_id)
        return JsonAnswer(_view(await _done(path, volume.files.stat, path)))

    async def update(self, request: Request, volume_id: str) -> Response:
        """`PATCH …/path`: owner and permission bits."""
        volume, path = self._opened(request, volume_id)
        body = await read_body(request, {"uid": int, "gid": int, "mode": int})
        owner = _owner({name: body.get(name) for name in ("uid", "gid", "mode")})
        return JsonAnswer(_view(await _done(path, volume.files.update, path, owner)))

    async def remove(self, request: Request, volume_id: str) -> Response:
        """`DELETE …/path`: a folder with all that is in it."""
        volume, path = self._opened(request, volume_id)
        await _done(path, volume.files.remove, path)
        return empty_answer()

    async def walk(self, request: Request, volume_id: str) -> Response:
        """`GET …/dir`: one level deep unless `depth` says more."""
        volume, path = self._opened(request, volume_id)
        depth = max(1, _number(request, "depth", MAX_ID) or 1)
        found = await _done(path, volume.files.walk, path, depth)
        return JsonAnswer([_view(entry) for entry in found])

    async def make_dir(self, request: Request, volume_id: str) -> Response:
        """`POST …/dir`: with the folders above where `force` says so."""
        volume, path = self._opened(request, volume_id)
        owner, force = _asked_owner(request), _flag(request, "force")

        def make() -> VolumeEntry:
            return volume.files.make_dir(path, owner, parents=force)

        return JsonAnswer(_view(await _done(path, make)), status=201)

    async def read(self, request: Request, volume_id: str) -> Response:
        """`GET …/file`, streamed."""
        volume, path = self._opened(request, volume_id)
        file = await _done(path, volume.files.open, path)
        return StreamingResponse(_pieces(file), media_type="application/octet-stream")

    async def write(self, request: Request, volume_id: str) -> Response:
        """`PUT …/file`: the old content stays until the new one is there."""
        volume, path = self._opened(request, volume_id)
        owner, force = _asked_owner(request), _flag(request, "force")
        try:
            with volume.files.writing(path, owner, parents=force) as file:
                async for piece in request.stream():
                    await asyncio.to_thread(file.write, piece)
        except OSError as error:
            raise _refusal(path, error) from error
        return JsonAnswer(_view(await _done(path, volume.files.stat, path)), status=201)

    def _opened(self, request: Request, volume_id: str) -> tuple[Volume, str]:
        volume = self._volumes.opened(volume_id, request.headers.get("authorization"))
        path = request.query_params.get("path")
        if path is None:
            raise ApiError(400, 'validation error: parameter "path" in query is missing')
        exchange_of(request).entry.details = {"volume": volume.name, "path": path}
        return volume, path


async def _done(path: str, work: Callable[..., _Result], *args: Any) -> _Result:
    try:
        return await asyncio.to_thread(work, *args)
    except OSError as error:
        raise _refusal(path, error) from error


def _refusal(path: str, error: OSError) -> ApiError:
    if isinstance(error, FileNotFoundError):
        return ApiError(404, f"path '{path}' does not exist")
    if isinstance(error, FileExistsError):
        return ApiError(409, f"path '{path}' already exists")
    if isinstance(error, NotADirectoryError):
        return ApiError(400, f"path '{path}' is not a directory")
    if isinstance(error, IsADirectoryError):
        return ApiError(400, f"path '{path}' is a directory")
    if isinstance(error, PermissionError):
        return ApiError(400, f"path '{path}' cannot be changed")
    return ApiError(500, f"path '{path}': {error.strerror or error}")


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    with file:
        while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
            yield piece


def _asked_owner(request: Request) -> Owner:
    return _owner(
        {
            "uid": _number(request, "uid", MAX_ID),
            "gid": _number(request, "gid", MAX_ID),
            "mode": _number(request, "mode", MAX_MODE),
        }
    )


def _owner(values: dict[str, int | None]) -> Owner:
    most = {"uid": MAX_ID, "gid": MAX_ID, "mode": MAX_MODE}
    for name, value in values.items():
        if value is not None and not 0 <= value <= most[name]:
            raise request_error(f"{name} must be between 0 and {most[name]}")
    return Owner(**values)


def _number(request: Request, name: str, most: int) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not text.isdecimal() or int(text) > most:
        raise request_error(f"{name} must be a number between 0 and {most}")
    return int(text)


def _flag(request: Request, name: str) -> bool:
    return request.query_params.get(name, "false").lower() == "true"


def _with_token(volume: Volume) -> dict[str, Any]:
    return {"volumeID": volume.volume_id, "name": volume.name, "token": volume.token}


def _view(entry: VolumeEntry) -> dict[str, Any]:
    view = {
        "name": entry.path.rpartition("/")[2] or "/",
        "type": entry.type,
        "path": entry.path,
        "size": entry.size_bytes,
        "mode": entry.mode,
        "uid": entry.uid,
        "gid": entry.gid,
        "atime": format_instant(entry.accessed),
        "mtime": format_instant(entry.modified),
        "ctime": format_instant(entry.changed),
    }
    return view if entry.target is None else view | {"target": entry.target}
