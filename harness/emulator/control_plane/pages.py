"""Pages of a listing whose order does not change: by position."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import TypeVar

from starlette.requests import Request

from harness.emulator.answers import ApiError
from harness.emulator.control_plane.listing import parse_limit

__all__ = ["read_position", "take_page_of", "write_position"]

_Row = TypeVar("_Row")


def take_page_of(rows: Sequence[_Row], request: Request) -> tuple[Sequence[_Row], dict[str, str]]:
    """The page that a request's `limit` and `nextToken` ask for, and its header X-Next-Token.

    Raises:
        ApiError: 400 for a limit or token that cannot be one.
    """
    limit = parse_limit(request.query_params.get("limit"))
    begin = read_position(request.query_params.get("nextToken"))
    headers = {}
    if begin + limit < len(rows):
        headers["X-Next-Token"] = write_position(begin + limit)
    return rows[begin : begin + limit], headers


def write_position(position: int) -> str:
    """A cursor for a position."""
    return base64.urlsafe_b64encode(str(position).encode()).decode()


def read_position(cursor: str | None) -> int:
    """The position of a cursor; 0 for none.

    Raises:
        ApiError: 400 where it is not a cursor.
    """
    if not cursor:
        return 0
    try:
        position = int(base64.b64decode(cursor.encode(), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error) as error:
        raise ApiError(400, "Invalid next token") from error
    return max(0, position)
