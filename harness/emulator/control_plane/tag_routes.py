"""Routes of tags: give them to builds, take them away, list them.

Source: e2b-dev/infra packages/api/internal/handlers/template_tags.go; e2b 2.63.0
e2b/api/client/api/tags.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from harness.clock import format_instant
from harness.emulator.answers import ApiError, JsonAnswer, empty_answer, request_error
from harness.emulator.catalogue import check_tags
from harness.emulator.control_plane.bodies import JsonBody, read_body
from harness.emulator.control_plane.listing import parse_limit
from harness.emulator.control_plane.pages import read_position, write_position
from harness.emulator.control_plane.template_views import assignment_view
from harness.emulator.routes import Route
from harness.emulator.service import EmulatedService
from harness.emulator.template_records import TagAssignment, TemplateRecord

__all__ = ["TagRoutes"]

DEFAULT_ASSIGNMENTS = 5


class TagRoutes:
    """Answers for tags.

    Args:
        service: the emulator.
    """

    def __init__(self, service: EmulatedService) -> None:
        self._catalogue = service.catalogue

    def routes(self) -> list[Route]:
        """The routes that this class answers."""
        tags = "/templates/{template_id}/tags"
        return [
            Route(method="POST", pattern="/templates/tags", handler=self.assign),
            Route(method="DELETE", pattern="/templates/tags", handler=self.remove),
            Route(method="GET", pattern=tags, handler=self.list),
            Route(method="GET", pattern=f"{tags}/count", handler=self.count),
            Route(method="GET", pattern=f"{tags}/exists", handler=self.exists),
            Route(method="GET", pattern=f"{tags}/groups", handler=self.groups),
            Route(method="GET", pattern=f"{tags}/{{tag}}/assignments", handler=self.assignments),
        ]

    async def assign(self, request: Request) -> Response:
        """`POST /templates/tags`: gives tags to the build that `target` names."""
        body = await read_body(request, {"target": str, "tags": list})
        build = self._catalogue.assign_tags(_required(body, "target"), _tags(body))
        tags = check_tags(_tags(body))
        return JsonAnswer({"tags": tags, "buildID": build.build_id}, status=201)

    async def remove(self, request: Request) -> Response:
        """`DELETE /templates/tags`."""
        body = await read_body(request, {"name": str, "tags": list})
        self._catalogue.remove_tags(_required(body, "name"), _tags(body))
        return empty_answer()

    async def list(self, request: Request, template_id: str) -> Response:
        """`GET /templates/{id}/tags`: the newest build of each."""
        del request
        record = self._catalogue.record(template_id)
        return JsonAnswer(
            [
                {
                    "tag": assignment.tag,
                    "buildID": assignment.build_id,
                    "createdAt": format_instant(assignment.assigned_at),
                }
                for assignment in record.tags().values()
            ]
        )

    async def count(self, request: Request, template_id: str) -> Response:
        """`GET /templates/{id}/tags/count`."""
        del request
        return JsonAnswer({"total": len(self._catalogue.record(template_id).tags())})

    async def exists(self, request: Request, template_id: str) -> Response:
        """`GET /templates/{id}/tags/exists?tag=`: and the tag in its one form."""
        (tag,) = check_tags([request.query_params.get("tag", "")])
        found = tag in self._catalogue.record(template_id).tags()
        return JsonAnswer({"exists": found, "normalizedTag": tag})

    async def groups(self, request: Request, template_id: str) -> Response:
        """`GET /templates/{id}/tags/groups`: each tag with the builds that had it, newest first."""
        record, query = self._catalogue.record(template_id), request.query_params
        search = query.get("search", "").lower()
        newest = [a for tag, a in record.tags().items() if search in tag]
        newest.sort(key=lambda a: a.assigned_at, reverse=not query.get("sort", "").endswith("asc"))
        if query.get("sort", "").startswith(("tag", "name")):
            newest.sort(key=lambda a: a.tag, reverse=query["sort"].endswith("desc"))
        begin = read_position(query.get("tagsCursor"))
        limit = parse_limit(query.get("tagsLimit"))
        most = _limit(query.get("assignmentLimit"))
        page = newest[begin : begin + limit]
        more = begin + limit < len(newest)
        return JsonAnswer(
            {
                "tags": [_group(record, assignment.tag, most) for assignment in page],
                "nextCursor": write_position(begin + limit) if more else None,
            }
        )

    async def assignments(self, request: Request, template_id: str, tag: str) -> Response:
        """`GET /templates/{id}/tags/{tag}/assignments`: newest first, in pages."""
        record, query = self._catalogue.record(template_id), request.query_params
        (wanted,) = check_tags([tag])
        found = _of_tag(record, wanted)
        if not found:
            raise ApiError(404, f"tag '{wanted}' does not exist for template '{record.name}'")
        begin, limit = read_position(query.get("cursor")), parse_limit(query.get("limit"))
        more = begin + limit < len(found)
        return JsonAnswer(
            {
                "data": [assignment_view(a, record) for a in found[begin : begin + limit]],
                "nextCursor": write_position(begin + limit) if more else None,
            }
        )


def _group(record: TemplateRecord, tag: str, most: int) -> dict[str, Any]:
    found = _of_tag(record, tag)
    return {
        "tag": tag,
        "assignments": [assignment_view(assignment, record) for assignment in found[:most]],
        "hasMore": len(found) > most,
    }


def _of_tag(record: TemplateRecord, tag: str) -> list[TagAssignment]:
    return [assignment for assignment in reversed(record.assignments) if assignment.tag == tag]


def _limit(text: str | None) -> int:
    return DEFAULT_ASSIGNMENTS if text is None else parse_limit(text)


def _required(body: JsonBody, name: str) -> str:
    value = body.get(name)
    if value is None:
        raise ApiError(400, f'validation error: property "{name}" is missing')
    return str(value)


def _tags(body: JsonBody) -> list[str]:
    tags = body.get("tags", [])
    if not all(isinstance(tag, str) for tag in tags):
        raise request_error("tags must be strings")
    return list(tags)
