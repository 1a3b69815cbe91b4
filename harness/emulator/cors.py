"""Requests of browsers from other origins: what E2B lets them do, and read.

Source: e2b-dev/infra packages/api/internal/middleware/cors.go (with the defaults of
gin-contrib/cors) and packages/envd/main.go (with those of rs/cors).
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from harness.emulator.answers import empty_answer

__all__ = ["api_preflight", "envd_preflight", "open_to_browsers"]

_API_METHODS = "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS"
_API_REQUEST_HEADERS = (
    *("Origin", "Content-Length", "Content-Type", "User-Agent"),
    *("Authorization", "X-Api-Key", "X-Team-Id"),
    *("Browser", "Lang", "Lang_version", "Machine", "Os", "Package_version", "Processor"),
    *("Publisher", "Release", "Sdk_runtime", "System"),
)
_API_EXPOSED = (
    *("X-Next-Token", "X-Total-Running"),
    *("Ratelimit-Limit", "Ratelimit-Remaining", "Ratelimit-Reset", "Retry-After"),
)
_ENVD_METHODS = frozenset({"HEAD", "GET", "POST", "PUT", "PATCH", "DELETE"})
_ENVD_EXPOSED = (
    *("Grpc-Status", "Grpc-Message", "Grpc-Status-Details-Bin"),
    *("Location", "Cache-Control", "X-Content-Type-Options"),
)
_API_MAX_AGE_S = 12 * 3600
_ENVD_MAX_AGE_S = 2 * 3600


def api_preflight(request: Request) -> Response | None:
    """The API's answer to who asks whether it may ask; None for any other request."""
    if request.method != "OPTIONS" or "origin" not in request.headers:
        return None
    return _allowed(_API_METHODS, ",".join(_API_REQUEST_HEADERS), _API_MAX_AGE_S)


def envd_preflight(request: Request) -> Response | None:
    """Envd's answer to the same question."""
    headers = request.headers
    method = headers.get("access-control-request-method", "")
    if request.method != "OPTIONS" or "origin" not in headers or not method:
        return None
    if method not in _ENVD_METHODS:
        return empty_answer()
    return _allowed(method, headers.get("access-control-request-headers", ""), _ENVD_MAX_AGE_S)


def open_to_browsers(request: Request, answer: Response, *, envd: bool) -> Response:
    """The answer, readable by a page of another origin where one has asked."""
    if "origin" in request.headers:
        answer.headers["Access-Control-Allow-Origin"] = "*"
        exposed = _ENVD_EXPOSED if envd else _API_EXPOSED
        answer.headers["Access-Control-Expose-Headers"] = ", ".join(exposed)
    return answer


def _allowed(methods: str, headers: str, max_age_s: int) -> Response:
    answer = empty_answer()
    answer.headers["Access-Control-Allow-Origin"] = "*"
    answer.headers["Access-Control-Allow-Methods"] = methods
    if headers:
        answer.headers["Access-Control-Allow-Headers"] = headers
    answer.headers["Access-Control-Max-Age"] = str(max_age_s)
    return answer
