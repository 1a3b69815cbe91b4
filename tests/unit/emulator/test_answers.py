"""The forms of E2B's answers."""

from __future__ import annotations

import json

import pytest
from starlette.requests import Request

from harness.emulator.answers import ApiError, error_answer, proxy_error


def request(**headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": raw})


def test_error_is_json_with_code_and_message() -> None:
    """The error code is there only where there is one."""
    answer = error_answer(ApiError(429, "slow down", headers={"Retry-After": "1"}))
    assert json.loads(bytes(answer.body)) == {"code": 429, "message": "slow down"}
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    coded = error_answer(ApiError(503, "full", error_code="sandbox_capacity_unavailable"))
    assert json.loads(bytes(coded.body))["error_code"] == "sandbox_capacity_unavailable"


@pytest.mark.parametrize(
    ("headers", "page"),
    [
        ({"user_agent": "python-httpx/0.28"}, False),
        ({"user_agent": "Mozilla/5.0"}, True),
        ({"user_agent": "Mozilla/5.0", "accept": "application/json"}, False),
        ({"user_agent": "Mozilla/5.0", "sec_fetch_mode": "cors"}, False),
        (
            {"user_agent": "Mozilla/5.0", "sec_fetch_mode": "navigate", "x_requested_with": "x"},
            True,
        ),
        ({"user_agent": "Mozilla/5.0", "x_requested_with": "XMLHttpRequest"}, False),
    ],
)
def test_proxy_error_is_a_page_for_one_who_navigates(headers: dict[str, str], page: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Scripts and clients get JSON, whatever their browser calls itself."""
    answer = proxy_error(request(**headers), 502, "<gone>", sandboxId="i1")
    assert (answer.headers["content-type"] == "text/html; charset=utf-8") == page
    if page:
        assert b"&lt;gone&gt;" in bytes(answer.body)
    else:
        body = json.loads(bytes(answer.body))
        assert body == {"message": "<gone>", "sandboxId": "i1", "code": 502}
