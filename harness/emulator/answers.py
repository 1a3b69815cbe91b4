"""The forms in which E2B answers: JSON bodies, errors, and the proxy's error pages.

Source: e2b-dev/infra packages/api/internal/utils/error.go and
packages/shared/pkg/proxy/template (JSON with `code` and `message`, charset in the
content type; a browser that navigates gets a page instead).
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from harness.emulator.api_error import ApiError

__all__ = [
    "ApiError",
    "JsonAnswer",
    "empty_answer",
    "error_answer",
    "proxy_error",
    "request_error",
]

JSON_TYPE = "application/json; charset=utf-8"
_BROWSER = re.compile(r"mozilla|chrome|safari|firefox|edge|opera|msie", re.IGNORECASE)
_SCRIPTED = frozenset({"cors", "no-cors", "same-origin", "websocket"})


class JsonAnswer(Response):
    """A JSON body with E2B's content type.

    Args:
        content: anything that JSON can hold.
        status: the HTTP status.
        headers: further response headers.
    """

    def __init__(
        self, content: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        body = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
        super().__init__(body, status, {**(headers or {}), "content-type": JSON_TYPE})


def empty_answer(status: int = 204) -> Response:
    """An answer without a body."""
    return Response(status_code=status)


def error_answer(error: ApiError) -> Response:
    """The refusal as a response."""
    body: dict[str, Any] = {"code": error.status, "message": error.message}
    if error.error_code is not None:
        body["error_code"] = error.error_code
    return JsonAnswer(body, status=error.status, headers=error.headers)


def request_error(problem: object) -> ApiError:
    """The refusal of a body or parameter that does not fit."""
    return ApiError(400, f"Error when parsing request: {problem}")


def proxy_error(request: Request, status: int, message: str, **fields: Any) -> Response:
    """An error of the proxy in front of the sandboxes: a page for a browser, JSON for others.

    Args:
        request: who asks decides the form.
        status: the HTTP status, also the body's `code`.
        message: what the client's SDK looks for.
        fields: `sandboxId`, `port`, `path`: whatever belongs to this error.
    """
    if _wants_page(request):
        text = html.escape(f"{status}: {message}")
        page = f"<!doctype html><title>{status}</title><h1>{text}</h1>"
        return Response(page, status, {"content-type": "text/html; charset=utf-8"})
    return JsonAnswer({"message": message, **fields, "code": status}, status=status)


def _wants_page(request: Request) -> bool:
    headers = request.headers
    accept = headers.get("accept", "").lower()
    mode = headers.get("sec-fetch-mode", "").lower()
    if "application/json" in accept and "text/html" not in accept:
        return False
    if mode in _SCRIPTED or (mode != "navigate" and headers.get("x-requested-with")):
        return False
    return bool(_BROWSER.search(headers.get("user-agent", "")))
