"""The gateway's own routes, below /_harness: after-images as the emulator offers them.

GET after-images · GET after-images/{sandbox_id} (a tar, paths relative to /home/user)
· GET sandboxes (what the run created: id and state) · GET ledger (JSON lines)
· POST reap (ends what is alive).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from harness.gateway.estate import Estate
from harness.gateway.images import AfterImages

__all__ = ["ADMIN_HEADER", "ADMIN_PREFIX", "Admin", "refusal"]

ADMIN_PREFIX = "/_harness"
ADMIN_HEADER = "X-Harness-Token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Admin:
    """Answers the gateway's own routes.

    Attributes:
        estate: what the run owns.
        images: its after-images.
        token: what every request must carry.
    """

    estate: Estate
    images: AfterImages
    token: str

    async def answer(self, request: Request) -> Response:
        """The answer to one request below the prefix."""
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
                return JSONResponse({"left": await self.estate.kill_all(by="gateway: reap")})
            case "GET", ["after-images"]:
                return JSONResponse([image.to_json() for image in self.images.list()])
            case "GET", ["after-images", sandbox_id]:
                return self._image(sandbox_id)
        return refusal(404, f"the gateway has no route {request.method} {request.url.path}")

    def _image(self, sandbox_id: str) -> Response:
        path = self.images.path(sandbox_id)
        if path is None:
            return refusal(404, f"no after-image of sandbox {sandbox_id}")
        return FileResponse(path, media_type="application/x-tar")


def refusal(status: int, message: str) -> Response:
    """A refusal in the form of E2B's own."""
    return JSONResponse({"code": status, "message": message}, status_code=status)
