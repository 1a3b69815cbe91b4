"""Filters, order and pages of the sandbox listing.

Source: e2b-dev/infra packages/api/internal/handlers/sandboxes_list.go and
packages/api/internal/utils (pagination.go, sandboxes_list.go): a keyset cursor over
(start, id), which belongs to one order.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import unquote_plus

from starlette.datastructures import QueryParams

from harness.clock import format_instant, parse_instant
from harness.emulator.answers import ApiError
from harness.emulator.catalogue import Catalogue
from harness.emulator.life import SandboxLife, SandboxState

__all__ = [
    "ListQuery",
    "Page",
    "filter_metadata",
    "parse_limit",
    "parse_list_query",
    "parse_metadata",
    "take_page",
]

MAX_LIMIT = 100
_SEPARATOR = "__"
_LISTED = (SandboxState.RUNNING, SandboxState.PAUSED)
_INT32 = 2**31
_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Where the previous page ended."""

    started_at: datetime
    sandbox_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """What a listing is asked for.

    Attributes:
        metadata: pairs that a sandbox must carry.
        states: which states are listed.
        ascending: oldest first.
        started_after: the earliest start, inclusive.
        template_id: only sandboxes of this template; "" matches none.
        limit: the page's size.
        cursor: where the previous page ended.
    """

    metadata: Mapping[str, str] = field(default_factory=dict)
    states: frozenset[SandboxState] = frozenset(_LISTED)
    ascending: bool = False
    started_after: datetime | None = None
    template_id: str | None = None
    limit: int = MAX_LIMIT
    cursor: Cursor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a listing.

    Attributes:
        rows: the sandboxes.
        next_token: for the next page; None on the last one.
        total_running: running ones over all pages; None where none were asked for.
    """

    rows: tuple[SandboxLife, ...]
    next_token: str | None
    total_running: int | None


def parse_metadata(text: str | None) -> dict[str, str]:
    """The metadata filter: a query string whose keys and values are quoted once more.

    Raises:
        ApiError: 400 where a part of it is no pair, or not quoted as it has to be.
    """
    if not text:
        return {}
    found = {}
    for pair in _unquoted(text).split("&"):
        key, *values = pair.split("=")
        if len(values) != 1:
            raise ApiError(400, "Error parsing metadata: invalid key value pair in query")
        found[_unquoted(key)] = _unquoted(values[0])
    return found


def _unquoted(text: str) -> str:
    if _BAD_ESCAPE.search(text):
        raise ApiError(400, "Error parsing metadata: error when unescaping query")
    return unquote_plus(text)


def filter_metadata(
    lives: Sequence[SandboxLife], wanted: Mapping[str, str]
) -> tuple[SandboxLife, ...]:
    """The sandboxes that carry every wanted pair."""
    items = wanted.items()
    return tuple(life for life in lives if items <= life.metadata.items())


def parse_list_query(parameters: QueryParams, catalogue: Catalogue) -> ListQuery:
    """Reads the query of `GET /v2/sandboxes`.

    Raises:
        ApiError: 400 where a parameter does not fit.
    """
    ascending = _parse_order(parameters.get("order"))
    return ListQuery(
        metadata=parse_metadata(parameters.get("metadata")),
        states=_parse_states(parameters.getlist("state")),
        ascending=ascending,
        started_after=_parse_started_after(parameters.get("startedAfter")),
        template_id=_parse_template(parameters.get("template"), catalogue),
        limit=parse_limit(parameters.get("limit")),
        cursor=_parse_cursor(parameters.get("nextToken"), ascending=ascending),
    )


def take_page(lives: Sequence[SandboxLife], query: ListQuery) -> Page:
    """The page that the query asks for."""
    matching = [
        life
        for life in filter_metadata(lives, query.metadata)
        if life.state in query.states
        and (query.started_after is None or life.started_at >= query.started_after)
        and (query.template_id is None or life.asked.template.template_id == query.template_id)
    ]
    running = sum(life.running for life in matching)
    # Newest first, ids ascending within an instant; the other order is the exact reverse.
    matching.sort(key=lambda life: life.sandbox_id)
    matching.sort(key=lambda life: life.started_at, reverse=True)
    if query.ascending:
        matching.reverse()
    rest = [life for life in matching if _is_after(life, query)]
    rows = tuple(rest[: query.limit])
    more = len(rest) > query.limit
    return Page(
        rows=rows,
        next_token=_write_cursor(rows[-1], ascending=query.ascending) if more else None,
        total_running=running if SandboxState.RUNNING in query.states else None,
    )


def _is_after(life: SandboxLife, query: ListQuery) -> bool:
    cursor = query.cursor
    if cursor is None:
        return True
    if query.ascending:
        return life.started_at > cursor.started_at or (
            life.started_at == cursor.started_at and life.sandbox_id < cursor.sandbox_id
        )
    return life.started_at < cursor.started_at or (
        life.started_at == cursor.started_at and life.sandbox_id > cursor.sandbox_id
    )


def _write_cursor(life: SandboxLife, *, ascending: bool) -> str:
    parts = [format_instant(life.started_at), life.sandbox_id]
    if ascending:
        parts.append("asc")
    return base64.urlsafe_b64encode(_SEPARATOR.join(parts).encode()).decode()


def _parse_cursor(token: str | None, *, ascending: bool) -> Cursor | None:
    if not token:
        return None
    try:
        decoded = base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
        started_at, sandbox_id, *direction = decoded.split(_SEPARATOR)
        cursor = Cursor(started_at=parse_instant(started_at), sandbox_id=sandbox_id)
    except (ValueError, binascii.Error) as error:
        raise ApiError(400, "Invalid next token") from error
    if direction != (["asc"] if ascending else []):
        raise ApiError(400, "Invalid next token")  # issued for the other order
    return cursor


def parse_limit(text: str | None) -> int:
    """The size of a page.

    Raises:
        ApiError: 400 where it is no number, or below 1.
    """
    if not text:
        return MAX_LIMIT
    try:
        limit = int(text)
    except ValueError as error:
        raise _parameter_error("limit", f'value "{text}": an invalid integer') from error
    if not 1 <= limit < _INT32:
        raise _parameter_error("limit", "number must be at least 1")
    return min(limit, MAX_LIMIT)


def _parse_order(text: str | None) -> bool:
    if text not in {None, "", "asc", "desc"}:
        raise _parameter_error("order", f'value "{text}" is not one of the allowed values')
    return text == "asc"


def _parse_states(values: Sequence[str]) -> frozenset[SandboxState]:
    names = [name for value in values for name in value.split(",") if name]
    wrong = [name for name in names if name not in {state.value for state in _LISTED}]
    if wrong:
        raise _parameter_error("state", f'value "{wrong[0]}" is not one of the allowed values')
    return frozenset(SandboxState(name) for name in names) or frozenset(_LISTED)


def _parse_started_after(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        # A `+` that a client left unquoted arrives as a space.
        return parse_instant(text.replace(" ", "+"))
    except ValueError as error:
        raise _parameter_error("startedAfter", f'value "{text}" is not a date-time') from error


def _parse_template(text: str | None, catalogue: Catalogue) -> str | None:
    if not text:
        return None
    if ":" in text:
        raise ApiError(
            400,
            "Invalid template: tags are not supported here because sandboxes are not tag-scoped",
        )
    found = catalogue.find(text)
    return found.template_id if found else ""


def _parameter_error(name: str, problem: str) -> ApiError:
    return ApiError(400, f'validation error: parameter "{name}" in query has an error: {problem}')
