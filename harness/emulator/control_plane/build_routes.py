"""Routes of builds: upload files, start, follow.

Source: e2b-dev/infra packages/api/internal/handlers (template_layer_files_upload.go,
template_start_build_v2.go, template_build_status.go, template_build_logs.go); e2b 2.63.0
e2b/template_sync/build_api.py.
"""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from harness.emulator.answers import ApiError, JsonAnswer, empty_answer, request_error
from harness.emulator.builds import read_recipe
from harness.emulator.control_plane.bodies import read_body
from harness.emulator.control_plane.template_views import log_view, status_view
from harness.emulator.exchange import exchange_of
from harness.emulator.routes import Asks, Route
from harness.emulator.service import EmulatedService
from harness.emulator.template_records import BuildStatus, LogLine

__all__ = ["UPLOAD_PREFIX", "BuildRoutes"]

UPLOAD_PREFIX = "/_uploads/"
MAX_LINES = 100
_LEVELS = ("debug", "info", "warn", "error")
_START = {
    "fromImage": str,
    "fromTemplate": str,
    "fromImageRegistry": dict,
    "force": bool,
    "steps": list,
    "startCmd": str,
    "readyCmd": str,
}
_IMAGE = "whatever the image, the build's sandbox has this host's system and the base template"


class BuildRoutes:
    """Answers for builds.

    Args:
        service: the emulator.
    """

    def __init__(self, service: EmulatedService) -> None:
        self._service = service
        self._catalogue = service.catalogue
        self._uploads = service.builder.uploads

    def routes(self) -> list[Route]:
        """The routes that this class answers."""
        one, either = "/templates/{template_id}", Asks.EITHER
        build = f"{one}/builds/{{build_id}}"
        return [
            Route(
                method="GET",
                pattern=f"{one}/files/{{files_hash}}",
                handler=self.upload_link,
                asks=either,
            ),
            Route(method="PUT", pattern=f"{UPLOAD_PREFIX}{{files_hash}}", handler=self.upload),
            Route(method="POST", pattern=f"/v2{build}", handler=self.start, differs=_IMAGE),
            Route(method="GET", pattern=f"{build}/status", handler=self.status, asks=either),
            Route(method="GET", pattern=f"{build}/logs", handler=self.logs, asks=either),
        ]

    async def upload_link(self, request: Request, template_id: str, files_hash: str) -> Response:
        """`GET /templates/{id}/files/{hash}`: where to put the archive; here, the emulator."""
        self._catalogue.record(template_id)
        present = self._uploads.find(files_hash) is not None
        base = f"{request.url.scheme}://{request.headers['host']}"
        url = f"{base}{UPLOAD_PREFIX}{files_hash}?token={self._uploads.token(files_hash)}"
        return JsonAnswer({"present": present, "url": url}, status=201)

    async def upload(self, request: Request, files_hash: str) -> Response:
        """`PUT` to an upload link: the token is the permission, no key is asked."""
        token = request.query_params.get("token", "")
        await self._uploads.store(files_hash, token, request.stream())
        return empty_answer(200)

    async def start(self, request: Request, template_id: str, build_id: str) -> Response:
        """`POST /v2/templates/{id}/builds/{id}`: 202, and the status is "building" from then."""
        body = await read_body(request, _START)
        record, build = self._catalogue.build(template_id, build_id)
        if build.status is not BuildStatus.WAITING:
            raise ApiError(400, f"build is not in waiting state: it is {build.status}")
        try:
            recipe = read_recipe({name: body.get(name) for name in _START})
        except ValueError as error:
            raise request_error(error) from error
        exchange_of(request).entry.details = {
            "template": record.name,
            "from": recipe.base,
            "steps": [step.kind.value for step in recipe.steps],
        }
        self._service.builder.start(record, build, recipe)
        return empty_answer(202)

    async def status(self, request: Request, template_id: str, build_id: str) -> Response:
        """`GET …/status`: where it is, and at most 100 lines of its log from an offset on."""
        record, build = self._catalogue.build(template_id, build_id)
        query = request.query_params
        lines = _at_least(build.log, query.get("level"))
        begin = _number("logsOffset", query.get("logsOffset"), 0)
        count = min(_number("limit", query.get("limit"), MAX_LINES), MAX_LINES)
        return JsonAnswer(status_view(record, build, lines[begin : begin + count]))

    async def logs(self, request: Request, template_id: str, build_id: str) -> Response:
        """`GET …/logs`: lines from an instant on, forwards or backwards."""
        _, build = self._catalogue.build(template_id, build_id)
        query = request.query_params
        lines = _at_least(build.log, query.get("level"))
        backward = query.get("direction", "forward") == "backward"
        if backward:
            lines = lines[::-1]
        if query.get("cursor") is not None:
            instant = _instant(query["cursor"])
            lines = [ln for ln in lines if (ln.time <= instant if backward else ln.time >= instant)]
        count = min(_number("limit", query.get("limit"), MAX_LINES), MAX_LINES)
        return JsonAnswer({"logs": [log_view(line) for line in lines[:count]]})


def _at_least(lines: list[LogLine], level: str | None) -> list[LogLine]:
    if not level:
        return lines
    if level not in _LEVELS:
        raise request_error(f"level must be one of {', '.join(_LEVELS)}")
    wanted = _LEVELS[_LEVELS.index(level) :]
    return [line for line in lines if line.level in wanted]


def _number(name: str, text: str | None, default: int) -> int:
    if text is None:
        return default
    if not text.isdecimal():
        raise request_error(f"{name} must be a number of 0 or more")
    return int(text)


def _instant(text: str) -> datetime:
    if not text.isdecimal():
        raise request_error("cursor must be milliseconds of Unix time")
    return datetime.fromtimestamp(int(text) / 1000, tz=UTC)
