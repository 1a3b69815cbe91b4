"""The control plane's front door: the key, the route, the refusal of what is unknown."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from harness.emulator.answers import ApiError, error_answer
from harness.emulator.control_plane.build_routes import UPLOAD_PREFIX, BuildRoutes
from harness.emulator.control_plane.network_routes import NetworkRoutes
from harness.emulator.control_plane.observation import Observation
from harness.emulator.control_plane.sandbox_routes import SandboxRoutes
from harness.emulator.control_plane.secret_routes import SecretRoutes
from harness.emulator.control_plane.snapshot_routes import SnapshotRoutes
from harness.emulator.control_plane.tag_routes import TagRoutes
from harness.emulator.control_plane.team_routes import TeamRoutes
from harness.emulator.control_plane.template_routes import TemplateRoutes
from harness.emulator.control_plane.volume_routes import CONTENT_PREFIX, VolumeRoutes
from harness.emulator.exchange import exchange_of
from harness.emulator.routes import Route, RouteTable
from harness.emulator.service import EmulatedService

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
        self.table = RouteTable(
            [
                Route(method="GET", pattern="/health", handler=_healthy),
                *self._sandbox_routes.routes(),
                *Observation(service).routes(),
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
        try:
            return await self._dispatch(request)
        except ApiError as error:
            return error_answer(error)

    def reset(self) -> None:
        """Forgets what was remembered between requests."""
        self._sandbox_routes.reset()
        self._team_routes.reset()

    async def _dispatch(self, request: Request) -> Response:
        raw_path = request.scope["raw_path"].decode("latin-1")
        match = self.table.find(request.method, raw_path)
        if raw_path != "/health" and not raw_path.startswith(_OWN_TOKENS):
            self._service.credentials.check_api_key(request.headers.get("x-api-key"))
        if match is None:
            raise self._refusal(request, raw_path)
        return await match.answer(request)

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
