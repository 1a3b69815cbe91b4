"""`POST /files/compose`: several files put together into one, and deleted after that.

Source: e2b-dev/infra packages/envd/internal/api/compose.go (no SDK asks for it).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from harness.emulator.answers import ApiError, JsonAnswer
from harness.emulator.envd.caller import Caller
from harness.emulator.envd.files import file_error
from harness.emulator.isolation import GuestError, GuestStream

__all__ = ["compose"]


async def compose(caller: Caller) -> Response:
    """Writes beside the destination and moves there at the end, so that a failure leaves it.

    Raises:
        ApiError: 400 for a body or path that does not fit, 401 for an unknown user, 404 for a
            source that is not there, 507 where the disk is full.
    """
    asked = _asked(await caller.request.body())
    user = asked.get("username") or caller.life.asked.template.image.user
    sources, destination = asked["source_paths"], asked["destination"]
    caller.exchange.entry.details = {"path": destination, "sources": sources}
    try:
        for source in sources:
            await _check_source(caller, source, user, destination)
        draft = f"{destination}.e2b-compose.{uuid.uuid4()}.tmp"
        try:
            async with caller.guest.stream(
                "fs.write", path=draft, user=user, metadata={}
            ) as target:
                for source in sources:
                    await _append(caller, source, user, target)
                await target.send_eof()
                async for _ in target:
                    pass
            moved = await caller.guest.call(
                "fs.move", source=draft, destination=destination, user=user
            )
        except BaseException:
            await caller.guest.call("fs.remove", path=draft, user=user)
            raise
        for source in sources:
            await caller.guest.call("fs.remove", path=source, user=user)
    except GuestError as error:
        raise file_error(error) from error
    entry = moved["entry"]
    return JsonAnswer({"path": entry["path"], "name": entry["name"], "type": "file"})


def _asked(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except ValueError as error:
        raise ApiError(400, f"invalid request body: {error}") from error
    sources = document.get("source_paths") if isinstance(document, dict) else None
    if not isinstance(sources, list) or not sources:
        raise ApiError(400, "source_paths must not be empty")
    words = (*sources, document.get("destination") or "", document.get("username") or "")
    if not all(isinstance(word, str) for word in words):
        raise ApiError(400, "invalid request body: paths and users are strings")
    if not document.get("destination"):
        raise ApiError(400, "destination is required")
    asked: Mapping[str, Any] = document
    return asked


async def _check_source(caller: Caller, source: str, user: str, destination: str) -> None:
    if source == destination:
        raise ApiError(400, f'source path "{source}" cannot be the same as destination')
    try:
        found = await caller.guest.call("fs.stat", path=source, user=user)
    except GuestError as error:
        if error.code != "not_found":
            raise
        raise ApiError(404, f"source file not found: {source}") from error
    if found["entry"]["type"] != "file":
        raise ApiError(400, f"source path is not a regular file: {source}")


async def _append(caller: Caller, source: str, user: str, target: GuestStream) -> None:
    async with caller.guest.stream("fs.read", path=source, user=user) as stream:
        async for frame in stream:
            if isinstance(frame, bytes):
                await target.send(frame)
