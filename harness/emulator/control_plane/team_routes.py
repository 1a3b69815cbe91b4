"""Routes of the one team, and of its API keys.

Source: e2b-dev/infra spec/openapi.yml (Team, TeamAPIKey, CreatedTeamAPIKey,
IdentifierMaskingDetails).

Differs: the team is found by an API key; access tokens of a person are not known.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from harness.clock import format_instant
from harness.emulator.answers import ApiError, JsonAnswer, empty_answer
from harness.emulator.control_plane.bodies import read_body
from harness.emulator.credentials import KEY_PREFIX, new_uuid
from harness.emulator.routes import Route
from harness.emulator.service import EmulatedService

__all__ = ["TeamRoutes"]

TEAM_NAME = "harness"
_TEAM_ID = str(uuid.uuid5(uuid.NAMESPACE_URL, TEAM_NAME))
_SHOWN = 4
_BY_KEY = "found by the API key; access tokens of a person are not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    """A key that was made by a request."""

    key_id: str
    name: str
    value: str
    created_at: datetime


class TeamRoutes:
    """Answers for the team.

    Args:
        service: the emulator.
    """

    def __init__(self, service: EmulatedService) -> None:
        self._service = service
        self._keys: dict[str, _Key] = {}

    def routes(self) -> list[Route]:
        """The routes that this class answers."""
        one = "/api-keys/{key_id}"
        return [
            Route(method="GET", pattern="/teams", handler=self.teams, differs=_BY_KEY),
            Route(method="GET", pattern="/api-keys", handler=self.list, differs=_BY_KEY),
            Route(method="POST", pattern="/api-keys", handler=self.create, differs=_BY_KEY),
            Route(method="PATCH", pattern=one, handler=self.rename, differs=_BY_KEY),
            Route(method="DELETE", pattern=one, handler=self.delete, differs=_BY_KEY),
        ]

    def reset(self) -> None:
        """Forgets every key but the emulator's own."""
        for key in self._keys.values():
            self._service.credentials.revoke(key.value)
        self._keys.clear()

    async def teams(self, request: Request) -> Response:
        """`GET /teams`: the one there is, with the key that asked."""
        team = {"teamID": _TEAM_ID, "name": TEAM_NAME, "isDefault": True}
        return JsonAnswer([team | {"apiKey": request.headers["x-api-key"]}])

    async def list(self, request: Request) -> Response:
        """`GET /api-keys`: those that were made here, without their values."""
        del request
        return JsonAnswer([_view(key) for key in self._keys.values()])

    async def create(self, request: Request) -> Response:
        """`POST /api-keys`: a key that works at once; its value is shown this once."""
        name = await _name(request)
        value = self._service.credentials.admit()
        key = _Key(
            key_id=new_uuid(),
            name=name,
            value=value,
            created_at=self._service.clock.now(),
        )
        self._keys[key.key_id] = key
        return JsonAnswer(_view(key) | {"key": value}, status=201)

    async def rename(self, request: Request, key_id: str) -> Response:
        """`PATCH /api-keys/{id}`."""
        name = await _name(request)
        self._keys[key_id] = replace(self._get(key_id), name=name)
        return empty_answer(200)

    async def delete(self, request: Request, key_id: str) -> Response:
        """`DELETE /api-keys/{id}`: it opens nothing from now on."""
        del request
        key = self._get(key_id)
        self._service.credentials.revoke(key.value)
        del self._keys[key_id]
        return empty_answer()

    def _get(self, key_id: str) -> _Key:
        key = self._keys.get(key_id)
        if key is None:
            raise ApiError(404, f"API key '{key_id}' not found")
        return key


async def _name(request: Request) -> str:
    body = await read_body(request, {"name": str})
    name = body.get("name")
    if name is None:
        raise ApiError(400, 'validation error: property "name" is missing')
    return str(name)


def _view(key: _Key) -> dict[str, Any]:
    secret = key.value.removeprefix(KEY_PREFIX)
    return {
        "id": key.key_id,
        "name": key.name,
        "mask": {
            "prefix": KEY_PREFIX,
            "valueLength": len(secret),
            "maskedValuePrefix": secret[:2],
            "maskedValueSuffix": secret[-_SHOWN:],
        },
        "createdAt": format_instant(key.created_at),
        "createdBy": None,
        "lastUsed": None,
    }
