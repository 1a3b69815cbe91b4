"""The gateway's own routes, below /_harness: after-images as the emulator offers them.

GET after-images · GET after-images/{sandbox_id} (a tar, paths relative to /home/user)
· GET sandboxes (what the run created: id, state, test, creator) · GET ledger (JSON lines)
· POST reap (ends what is alive) · PUT test {"test_id"} (which test runs now).
GET upstream (the service's address) asks for no token: a sweep through a gateway has
to know whose sandboxes it would end.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from harness.gateway.estate import Estate
from harness.gateway.images import AfterImages
from harness.gateway.stamp import Stamp

__all__ = ["ADMIN_HEADER", "ADMIN_PREFIX", "Admin", "refusal"]

ADMIN_PREFIX = "/_harness"
ADMIN_HEADER = "X-Harness-Token"
_REAP = "gateway: reap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Admin:
    """Answers the gateway's own routes.

    Attributes:
        estate: what the run owns.
        images: its after-images.
        stamp: its tags.
        upstream_url: the service.
        token: what every request must carry.
    """

    estate: Estate
    images: AfterImages
    stamp: Stamp
    upstream_url: str
    token: str

    async def answer(self, request: Request) -> Response:
        """The answer to one request below the prefix."""
        if (request.method, request.url.path) == ("GET", f"{ADMIN_PREFIX}/upstream"):
            return JSONResponse({"api_url": self.upstream_url})
        given = request.headers.get(ADMIN_HEADER, "")
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            return refusal(401, f"the header {ADMIN_HEADER} is missing or wrong")
        return await self._route(request)

    async def _route(self, request: Request) -> Response:
        match request.method, request.url.path.split("/")[2:]:
            case "GET", ["sandboxes"]:
                return JSONResponse(self.estate.rows())
            case "GET", ["ledger"]:
                return FileResponse(self.estate.ledger_path, media_type="application/jsonl")
            case "POST", ["reap"]:
                left = await self.estate.kill_all(by=_REAP)
                return JSONResponse({"left": {**left, **await self.estate.verify(by=_REAP)}})
            case "PUT", ["test"]:
                return await self._begin_test(request)
            case "GET", ["after-images", *rest] if len(rest) <= 1:
                return self._images(rest)
        return refusal(404, f"the gateway has no route {request.method} {request.url.path}")

    async def _begin_test(self, request: Request) -> Response:
        try:
            document = json.loads(await request.body())
            self.stamp.test_id = str(document["test_id"])
        except (ValueError, KeyError, TypeError) as error:
            return refusal(400, f'the body is not {{"test_id": …}}: {error!r}')
        return Response(status_code=204)

    def _images(self, rest: list[str]) -> Response:
        if not rest:
            return JSONResponse([image.to_json() for image in self.images.list()])
        (sandbox_id,) = rest
        path = self.images.path(sandbox_id)
        if path is None:
            return refusal(404, f"no after-image of sandbox {sandbox_id}")
        return FileResponse(path, media_type="application/x-tar")


def refusal(status: int, message: str) -> Response:
    """A refusal in the form of E2B's own."""
    return JSONResponse({"code": status, "message": message}, status_code=status)
