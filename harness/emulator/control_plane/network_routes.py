"""The route that changes what a running sandbox may reach.

Source: e2b-dev/infra packages/api/internal/handlers/sandbox_network_update.go; e2b 2.63.0
e2b/api/client/models/sandbox_network_update_config.py.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from harness.emulator.answers import empty_answer
from harness.emulator.control_plane.bodies import read_body
from harness.emulator.control_plane.sandbox_routes import short_id
from harness.emulator.routes import Route
from harness.emulator.service import EmulatedService

__all__ = ["NetworkRoutes"]

_FIELDS = {
    "allowOut": list,
    "denyOut": list,
    "dnsServers": list,
    "egressProxy": dict,
    "rules": dict,
    "allow_internet_access": bool,
}
_NO_PROXY = (
    "rules and header transforms hold for a stand-in internet; dnsServers and egressProxy are "
    "kept, and shown, and do nothing"
)


class NetworkRoutes:
    """Answers for sandboxes' networks.

    Args:
        service: the emulator.
    """

    def __init__(self, service: EmulatedService) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """The routes that this class answers."""
        return [
            Route(
                method="PUT",
                pattern="/sandboxes/{sandbox_id}/network",
                handler=self.update,
                differs=_NO_PROXY,
            )
        ]

    async def update(self, request: Request, sandbox_id: str) -> Response:
        """`PUT /sandboxes/{id}/network`: all rules anew; what is left out is cleared."""
        body = await read_body(request, _FIELDS)
        update = {name: body.get(name) for name in _FIELDS}
        self._service.sandboxes.update_network(short_id(request, sandbox_id), update)
        return empty_answer()
