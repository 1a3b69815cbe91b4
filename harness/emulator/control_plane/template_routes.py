"""Routes of templates: ask for one, list, find, change and delete them.

Source: e2b-dev/infra packages/api/internal/handlers (template_request_build_v3.go,
template_alias.go, templates_list.go, template_update.go, template_delete.go); e2b 2.63.0
e2b/template_sync/build_api.py.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from harness.emulator.answers import ApiError, JsonAnswer, empty_answer
from harness.emulator.catalogue import split_name
from harness.emulator.control_plane.bodies import JsonBody, read_body
from harness.emulator.control_plane.pages import take_page_of
from harness.emulator.control_plane.template_views import template_view, template_with_builds_view
from harness.emulator.exchange import exchange_of
from harness.emulator.routes import Asks, Route
from harness.emulator.service import EmulatedService
from harness.emulator.template_names import parse_name
from harness.emulator.template_records import Build, TemplateRecord

__all__ = ["TemplateRoutes"]

_REQUEST = {
    "name": str,
    "alias": str,
    "tags": list,
    "teamID": str,
    "cpuCount": int,
    "memoryMB": int,
    "minFreeDiskMb": int,
}
_V1_REFUSED = "they push a Docker image to a registry, which the emulator does not have"


class TemplateRoutes:
    """Answers for templates.

    Args:
        service: the emulator.
    """

    def __init__(self, service: EmulatedService) -> None:
        self._service = service
        self._catalogue = service.catalogue

    def routes(self) -> list[Route]:
        """The routes that this class answers."""
        one, either = "/templates/{template_id}", Asks.EITHER
        v1 = f"refused: v1 builds; {_V1_REFUSED}"
        return [
            Route(method="GET", pattern="/templates/aliases/{alias}", handler=self.alias),
            Route(method="GET", pattern="/templates", handler=self.list, asks=either),
            Route(method="GET", pattern="/v2/templates", handler=self.list_v2, asks=either),
            Route(method="GET", pattern="/default-templates", handler=self.list_built_in),
            Route(method="GET", pattern=one, handler=self.get),
            Route(method="DELETE", pattern=one, handler=self.delete, asks=either),
            Route(method="PATCH", pattern=one, handler=self.update, asks=either),
            Route(method="PATCH", pattern=f"/v2{one}", handler=self.update_v2, asks=either),
            Route(method="POST", pattern="/v3/templates", handler=self.request_v3),
            Route(method="POST", pattern="/v2/templates", handler=self.request_v2),
            *(
                Route(
                    method="POST",
                    pattern=pattern,
                    handler=self.refuse_v1,
                    differs=v1,
                    asks=either,
                )
                for pattern in ("/templates", one, f"{one}/builds/{{build_id}}")
            ),
        ]

    async def alias(self, request: Request, alias: str) -> Response:
        """`GET /templates/aliases/{alias}`: the id behind a name."""
        del request
        record = self._catalogue.record(alias)
        _, tag = split_name(alias)
        if tag and record.resolve(tag) is None:
            raise ApiError(404, f"tag '{tag}' does not exist for template '{record.name}'")
        return JsonAnswer({"templateID": record.template_id, "public": record.public})

    async def list(self, request: Request) -> Response:
        """`GET /templates`: the team's own, and the built-in ones."""
        del request
        return JsonAnswer([template_view(record) for record in self._catalogue.records])

    async def list_v2(self, request: Request) -> Response:
        """`GET /v2/templates`: the same in pages."""
        page, headers = take_page_of(self._catalogue.records, request)
        return JsonAnswer([template_view(record) for record in page], headers=headers)

    async def list_built_in(self, request: Request) -> Response:
        """`GET /default-templates`: those that everyone has."""
        del request
        found = [record for record in self._catalogue.records if record.built_in]
        return JsonAnswer([template_view(record) for record in found])

    async def get(self, request: Request, template_id: str) -> Response:
        """`GET /templates/{id}`: with a page of its builds, newest first."""
        record = self._catalogue.record(template_id)
        page, headers = take_page_of(tuple(reversed(record.builds.values())), request)
        return JsonAnswer(template_with_builds_view(record, page), headers=headers)

    async def delete(self, request: Request, template_id: str) -> Response:
        """`DELETE /templates/{id}`: a template or a snapshot."""
        exchange_of(request).entry.details = {"template": template_id}
        try:
            name = parse_name(template_id)
        except ValueError as error:
            raise ApiError(400, f"Invalid template ID: {error}") from error
        snapshots = self._service.snapshots.template_of(name)
        if snapshots:
            self._refuse_in_use(snapshots)
            await self._service.snapshots.delete(snapshots)
            return empty_answer()
        self._refuse_in_use(self._catalogue.own(template_id).template_id)
        record = self._catalogue.delete(template_id)
        self._service.builder.cancel(record)
        return empty_answer()

    def _refuse_in_use(self, template_id: str) -> None:
        """Keeps a template from which a sandbox was made that lives.

        Raises:
            ApiError: 400 that says whether such a one runs, or is paused.
        """
        alive = self._service.sandboxes.alive()
        using = [life for life in alive if life.asked.template.template_id == template_id]
        if using:
            state = "running" if any(life.running for life in using) else "paused"
            raise ApiError(
                400,
                f"cannot delete template '{template_id}' because there are {state} sandboxes "
                "using it",
            )

    async def update(self, request: Request, template_id: str) -> Response:
        """`PATCH /templates/{id}`."""
        await self._update(request, template_id)
        return JsonAnswer({})

    async def update_v2(self, request: Request, template_id: str) -> Response:
        """`PATCH /v2/templates/{id}`: answers with its names."""
        record = await self._update(request, template_id)
        return JsonAnswer({"names": [record.name]})

    async def _update(self, request: Request, template_id: str) -> TemplateRecord:
        body = await read_body(request, {"public": bool})
        return self._catalogue.update(template_id, public=body.get("public"))

    async def request_v3(self, request: Request) -> Response:
        """`POST /v3/templates`: a build that waits for its steps."""
        body = await read_body(request, _REQUEST)
        record, build = self._request(body, body.get("name") or body.get("alias", ""))
        tags = [a.tag for a in record.assignments if a.build_id == build.build_id]
        view = template_view(record)
        kept = {name: view[name] for name in ("templateID", "public", "aliases", "names")}
        return JsonAnswer(kept | {"buildID": build.build_id, "tags": tags}, status=202)

    async def request_v2(self, request: Request) -> Response:
        """`POST /v2/templates`: the same for older clients."""
        body = await read_body(request, _REQUEST)
        alias = body.get("alias")
        if alias is None:
            raise ApiError(400, 'validation error: property "alias" is missing')
        record, build = self._request(body, alias)
        return JsonAnswer(template_view(record) | {"buildID": build.build_id}, status=202)

    async def refuse_v1(self, request: Request, **segments: str) -> Response:
        """`POST /templates[/{id}[/builds/{id}]]`: refused by name.

        Source: @e2b/cli 2.19.0 src/commands/template/build.ts: it ends with a warning before it
        asks anything; no SDK has asked for these.
        """
        del segments
        exchange_of(request).entry.notes.append(f"v1 builds: {_V1_REFUSED}")
        raise ApiError(501, f"the emulator does not serve v1 builds: {_V1_REFUSED}")

    def _request(self, body: JsonBody, name: str) -> tuple[TemplateRecord, Build]:
        tags: list[Any] = body.get("tags", [])
        if not all(isinstance(tag, str) for tag in tags):
            raise ApiError(400, "Error when parsing request: tags must be strings")
        return self._catalogue.request(
            name, tags, cpu_count=body.get("cpuCount", 2), memory_mb=body.get("memoryMB", 512)
        )
