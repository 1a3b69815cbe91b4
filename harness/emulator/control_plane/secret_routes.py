"""Routes of secrets; no answer holds a value.

Source: e2b 2.63.0 e2b/api/client/api/secrets and e2b/api/client/models/secret.py.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from harness.clock import format_instant
from harness.emulator.answers import ApiError, JsonAnswer, empty_answer
from harness.emulator.control_plane.bodies import JsonBody, read_body
from harness.emulator.control_plane.pages import take_page_of
from harness.emulator.exchange import exchange_of
from harness.emulator.routes import Route
from harness.emulator.secret_store import SecretRecord
from harness.emulator.service import EmulatedService

__all__ = ["SecretRoutes"]

_FIELDS = {"name": str, "value": str, "metadata": dict}


class SecretRoutes:
    """Answers for secrets.

    Args:
        service: the emulator.
    """

    def __init__(self, service: EmulatedService) -> None:
        self._secrets = service.secrets

    def routes(self) -> list[Route]:
        """The routes that this class answers."""
        one = "/secrets/{secret}"
        return [
            Route(method="GET", pattern="/secrets", handler=self.list),
            Route(method="POST", pattern="/secrets", handler=self.create),
            Route(method="GET", pattern=one, handler=self.get),
            Route(method="POST", pattern=one, handler=self.update),
            Route(method="DELETE", pattern=one, handler=self.delete),
        ]

    async def list(self, request: Request) -> Response:
        """`GET /secrets`, in pages."""
        page, headers = take_page_of(self._secrets.all(), request)
        return JsonAnswer([_view(record) for record in page], headers=headers)

    async def create(self, request: Request) -> Response:
        """`POST /secrets`."""
        body = await read_body(request, _FIELDS)
        name = _required(body, "name")
        record = self._secrets.create(name, _required(body, "value"), body.strings("metadata"))
        exchange_of(request).entry.details = {"secret": record.name}
        return JsonAnswer(_view(record), status=201)

    async def get(self, request: Request, secret: str) -> Response:
        """`GET /secrets/{id or name}`."""
        del request
        return JsonAnswer(_view(self._secrets.get(secret)))

    async def update(self, request: Request, secret: str) -> Response:
        """`POST /secrets/{id or name}`: a new version."""
        body = await read_body(request, _FIELDS)
        given = body.get("metadata") is not None
        metadata = body.strings("metadata") if given else None
        return JsonAnswer(_view(self._secrets.update(secret, _required(body, "value"), metadata)))

    async def delete(self, request: Request, secret: str) -> Response:
        """`DELETE /secrets/{id or name}`."""
        del request
        self._secrets.delete(secret)
        return empty_answer()


def _required(body: JsonBody, name: str) -> str:
    value = body.get(name)
    if value is None:
        raise ApiError(400, f'validation error: property "{name}" is missing')
    return str(value)


def _view(record: SecretRecord) -> dict[str, Any]:
    return {
        "secretID": record.secret_id,
        "name": record.name,
        "currentVersion": record.version,
        "metadata": dict(record.metadata),
        "createdAt": format_instant(record.created_at),
        "updatedAt": format_instant(record.updated_at),
    }
