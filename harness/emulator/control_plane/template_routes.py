"""Routes that read templates: by alias, by id, all of them.

Source: e2b-dev/infra packages/api/internal/handlers/template_alias.go and
templates_list.go; e2b 2.63.0 e2b/api/client/models/template.py.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from harness.clock import format_instant
from harness.emulator.answers import JsonAnswer
from harness.emulator.catalogue import Template
from harness.emulator.control_plane.views import ENVD_VERSION
from harness.emulator.routes import Route
from harness.emulator.service import EmulatedService

__all__ = ["TemplateRoutes"]


class TemplateRoutes:
    """Answers for templates.

    Args:
        service: the emulator.
    """

    def __init__(self, service: EmulatedService) -> None:
        self._service = service
        self._since = format_instant(service.clock.now())

    def routes(self) -> list[Route]:
        """The routes that this class answers."""
        return [
            Route(method="GET", pattern="/templates/aliases/{alias}", handler=self.alias),
            Route(method="GET", pattern="/templates", handler=self.list),
            Route(method="GET", pattern="/v2/templates", handler=self.list),
            Route(method="GET", pattern="/default-templates", handler=self.list),
            Route(method="GET", pattern="/templates/{template_id}", handler=self.get),
        ]

    async def alias(self, request: Request, alias: str) -> Response:
        """`GET /templates/aliases/{alias}`: the id behind a name."""
        del request
        template = self._service.catalogue.get(alias)
        return JsonAnswer({"templateID": template.template_id, "public": True})

    async def list(self, request: Request) -> Response:
        """`GET /templates`."""
        del request
        return JsonAnswer([self._view(template) for template in self._service.catalogue.templates])

    async def get(self, request: Request, template_id: str) -> Response:
        """`GET /templates/{id}`."""
        del request
        template = self._service.catalogue.get(template_id)
        return JsonAnswer(self._view(template) | {"builds": []})

    def _view(self, template: Template) -> dict[str, Any]:
        return {
            "templateID": template.template_id,
            "buildID": f"{template.template_id}-1",
            "cpuCount": template.cpu_count,
            "memoryMB": template.memory_mb,
            "diskSizeMB": template.disk_size_mb,
            "public": True,
            "aliases": [template.name],
            "names": [template.name],
            "createdAt": self._since,
            "updatedAt": self._since,
            "createdBy": None,
            "lastSpawnedAt": None,
            "spawnCount": 0,
            "buildCount": 1,
            "envdVersion": ENVD_VERSION,
            "buildStatus": "ready",
        }
