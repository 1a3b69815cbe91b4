"""Routes of the one team: its API keys, and how much of it ran.

Source: e2b-dev/infra spec/openapi.yml (Team, TeamAPIKey, CreatedTeamAPIKey,
IdentifierMaskingDetails) and packages/api/internal/handlers (teams.go, apikey.go,
team_metrics.go, team_metrics_max.go).
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from harness.clock import format_instant
from harness.emulator.answers import ApiError, JsonAnswer, empty_answer
from harness.emulator.control_plane.bodies import read_body
from harness.emulator.control_plane.observation import read_seconds
from harness.emulator.control_plane.parameters import read_choice
from harness.emulator.credentials import KEY_PREFIX, new_uuid
from harness.emulator.routes import Asks, Route
from harness.emulator.service import EmulatedService
from harness.emulator.team import TEAM_ID, TEAM_NAME

__all__ = ["TeamRoutes", "mask_of"]

DEFAULT_RANGE = timedelta(days=7)
_SHOWN = 4
_NOT_FOUND = PlainTextResponse("id not found", 404)


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
        one, metrics = "/api-keys/{key_id}", "/teams/{team_id}/metrics"
        person = Asks.PERSON
        return [
            Route(method="GET", pattern="/teams", handler=self.teams, asks=person),
            Route(method="GET", pattern=metrics, handler=self.metrics),
            Route(method="GET", pattern=f"{metrics}/max", handler=self.metrics_max),
            Route(method="GET", pattern="/api-keys", handler=self.list, asks=person),
            Route(method="POST", pattern="/api-keys", handler=self.create, asks=person),
            Route(method="PATCH", pattern=one, handler=self.rename, asks=person),
            Route(method="DELETE", pattern=one, handler=self.delete, asks=person),
        ]

    def reset(self) -> None:
        """Forgets every key but the emulator's own."""
        for key in self._keys.values():
            self._service.credentials.revoke(key.value)
        self._keys.clear()

    async def teams(self, request: Request) -> Response:
        """`GET /teams`: the one there is, with a new key for whoever asks."""
        del request
        key = self._make_key("CLI login/configure")
        team = {"teamID": TEAM_ID, "name": TEAM_NAME, "isDefault": True}
        return JsonAnswer([team | {"apiKey": key.value}])

    async def metrics(self, request: Request, team_id: str) -> Response:
        """`GET /teams/{id}/metrics`: points between `start` and `end`, else of seven days."""
        start, end = self._range(request, team_id)
        points = self._service.chronicle.team.between(start, end)
        return JsonAnswer(
            [
                {
                    "timestamp": format_instant(point.time),
                    "timestampUnix": int(point.time.timestamp()),
                    "concurrentSandboxes": point.concurrent,
                    "sandboxStartRate": point.start_rate,
                }
                for point in points
            ]
        )

    async def metrics_max(self, request: Request, team_id: str) -> Response:
        """`GET /teams/{id}/metrics/max`: the greatest value of one metric, and when."""
        start, end = self._range(request, team_id)
        metric = read_choice(request, "metric", ("concurrent_sandboxes", "sandbox_start_rate"))
        if metric is None:
            raise ApiError(400, 'validation error: parameter "metric" in query is missing')
        team = self._service.chronicle.team
        look = team.most_concurrent if metric == "concurrent_sandboxes" else team.fastest_start
        time, value = look(start, end)
        unix = int(time.timestamp())
        return JsonAnswer(
            {"timestamp": format_instant(time), "timestampUnix": unix, "value": value}
        )

    def _range(self, request: Request, team_id: str) -> tuple[datetime, datetime]:
        if team_id != TEAM_ID:
            raise ApiError(
                403,
                f"You ({TEAM_ID}) are not authorized to access this team's ({team_id}) metrics",
            )
        now = self._service.clock.now()
        start = read_seconds(request, "start") or now - DEFAULT_RANGE
        end = read_seconds(request, "end") or now
        if start > end:
            raise ApiError(400, "start time cannot be after end time")
        return start, end

    async def list(self, request: Request) -> Response:
        """`GET /api-keys`: those that were made here, without their values."""
        del request
        return JsonAnswer([_view(key) for key in self._keys.values()])

    async def create(self, request: Request) -> Response:
        """`POST /api-keys`: a key that works at once; its value is shown this once."""
        key = self._make_key(await _name(request))
        return JsonAnswer(_view(key) | {"key": key.value}, status=201)

    def _make_key(self, name: str) -> _Key:
        key = _Key(
            key_id=new_uuid(),
            name=name,
            value=self._service.credentials.admit(),
            created_at=self._service.clock.now(),
        )
        self._keys[key.key_id] = key
        return key

    async def rename(self, request: Request, key_id: str) -> Response:
        """`PATCH /api-keys/{id}`."""
        name = await _name(request)
        key = self._find(key_id)
        if key is None:
            return _NOT_FOUND
        self._keys[key_id] = replace(key, name=name)
        return empty_answer(202)

    async def delete(self, request: Request, key_id: str) -> Response:
        """`DELETE /api-keys/{id}`: it opens nothing from now on."""
        del request
        key = self._find(key_id)
        if key is None:
            return _NOT_FOUND
        self._service.credentials.revoke(key.value)
        del self._keys[key_id]
        return empty_answer()

    def _find(self, key_id: str) -> _Key | None:
        try:
            uuid.UUID(key_id)
        except ValueError as error:
            raise ApiError(400, f"Error when parsing API key ID: {error}") from error
        return self._keys.get(key_id)


async def _name(request: Request) -> str:
    body = await read_body(request, {"name": str})
    name = body.get("name")
    if name is None:
        raise ApiError(400, 'validation error: property "name" is missing')
    return str(name)


def mask_of(value: str, prefix: str) -> dict[str, Any]:
    """What may be shown of a key or token once it has been given away."""
    secret = value.removeprefix(prefix)
    return {
        "prefix": prefix,
        "valueLength": len(secret),
        "maskedValuePrefix": secret[:2],
        "maskedValueSuffix": secret[-_SHOWN:],
    }


def _view(key: _Key) -> dict[str, Any]:
    return {
        "id": key.key_id,
        "name": key.name,
        "mask": mask_of(key.value, KEY_PREFIX),
        "createdAt": format_instant(key.created_at),
        "createdBy": None,
        "lastUsed": None,
    }
