"""The control plane's front door: the key, the route, the refusal of what is unknown."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from harness.emulator.answers import ApiError, error_answer
from harness.emulator.control_plane.build_routes import UPLOAD_PREFIX, BuildRoutes
from harness.emulator.control_plane.event_routes import EventRoutes
from harness.emulator.control_plane.log_routes import LogRoutes
from harness.emulator.control_plane.network_routes import NetworkRoutes
from harness.emulator.control_plane.observation import Observation
from harness.emulator.control_plane.person_routes import PersonRoutes
from harness.emulator.control_plane.sandbox_routes import SandboxRoutes
from harness.emulator.control_plane.secret_routes import SecretRoutes
from harness.emulator.control_plane.snapshot_routes import SnapshotRoutes
from harness.emulator.control_plane.tag_routes import TagRoutes
from harness.emulator.control_plane.team_routes import TeamRoutes
from harness.emulator.control_plane.template_routes import TemplateRoutes
from harness.emulator.control_plane.volume_routes import CONTENT_PREFIX, VolumeRoutes
from harness.emulator.cors import api_preflight, open_to_browsers
from harness.emulator.exchange import exchange_of
from harness.emulator.routes import Asks, Route, RouteTable
from harness.emulator.service import EmulatedService
from harness.emulator.team import TEAM_ID

__all__ = ["ControlPlane"]

_OWN_TOKENS = (UPLOAD_PREFIX, CONTENT_PREFIX)


class ControlPlane:
    """Answers the requests to E2B_API_URL.

    Args:
        service: the emulator.
    """

    def __init__(self, service: EmulatedService) -> None:
        self._service = service
        self._sandbox_routes = SandboxRoutes(service)
        self._team_routes = TeamRoutes(service)
        self._person_routes = PersonRoutes(service)
        self.table = RouteTable(
            [
                Route(method="GET", pattern="/health", handler=_healthy, asks=Asks.NOBODY),
                *self._sandbox_routes.routes(),
                *Observation(service).routes(),
                *LogRoutes(service).routes(),
                *EventRoutes(service).routes(),
                *self._person_routes.routes(),
                *SnapshotRoutes(service).routes(),
                *NetworkRoutes(service).routes(),
                *TemplateRoutes(service).routes(),
                *BuildRoutes(service).routes(),
                *VolumeRoutes(service).routes(),
                *SecretRoutes(service).routes(),
                *self._team_routes.routes(),
                *TagRoutes(service).routes(),
            ]
        )

    async def answer(self, request: Request) -> Response:
        """The answer to one request; every refusal is JSON."""
        exchange_of(request).entry.area = "api"
        preflight = api_preflight(request)
        if preflight is not None:
            return preflight
        try:
            answer = await self._dispatch(request)
        except ApiError as error:
            answer = error_answer(error)
        return open_to_browsers(request, answer, envd=False)

    def reset(self) -> None:
        """Forgets what was remembered between requests."""
        self._sandbox_routes.reset()
        self._team_routes.reset()
        self._person_routes.reset()

    async def _dispatch(self, request: Request) -> Response:
        raw_path = request.scope["raw_path"].decode("latin-1")
        match = self.table.find(request.method, raw_path)
        if not raw_path.startswith(_OWN_TOKENS):
            self._check(request, Asks.KEY if match is None else match.route.asks)
        if match is None:
            raise self._refusal(request, raw_path)
        return await match.answer(request)

    def _check(self, request: Request, asks: Asks) -> None:
        """Holds a request to who may ask.

        A person who names the team in X-Team-ID may ask whatever the team's key may.

        Raises:
            ApiError: 401 with E2B's words.
        """
        credentials, headers = self._service.credentials, request.headers
        key, person = headers.get("x-api-key"), headers.get("authorization")
        for_team = headers.get("x-team-id") == TEAM_ID
        if asks is Asks.NOBODY:
            return
        if asks is Asks.PERSON or (person and not key and (asks is Asks.EITHER or for_team)):
            credentials.check_person(person)
        else:
            credentials.check_api_key(key)

    def _refusal(self, request: Request, raw_path: str) -> ApiError:
        name = f"{request.method} {raw_path}"
        exchange_of(request).entry.notes.append(f"unknown route {name}")
        methods = self.table.methods(raw_path)
        if methods:
            return ApiError(405, "method not allowed", headers={"Allow": ", ".join(methods)})
        return ApiError(501, f"the emulator does not serve {name}")


async def _healthy(request: Request) -> Response:
    del request
    return Response("Health check successful", media_type="text/plain")
