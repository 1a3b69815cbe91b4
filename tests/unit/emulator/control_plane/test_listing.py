"""Filters, order and pages of the listing."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from harness.clock import ManualClock
from harness.emulator.answers import ApiError
from harness.emulator.catalogue import Catalogue
from harness.emulator.control_plane.listing import (
    ListQuery,
    parse_list_query,
    parse_metadata,
    take_page,
)
from harness.emulator.isolation import Sandbox
from harness.emulator.life import NewSandbox, SandboxLife, SandboxState

CATALOGUE = Catalogue()
START = ManualClock().now()


def life(number: int, *, age_s: float = 0, paused: bool = False, **metadata: str) -> SandboxLife:
    return SandboxLife(
        sandbox_id=f"i{number:03d}",
        asked=NewSandbox(template=CATALOGUE.get("base"), timeout_s=60),
        metadata=metadata,
        guest=cast("Sandbox", None),
        started_at=START - timedelta(seconds=age_s),
        end_at=START,
        access_token=None,
        traffic_token=None,
        state=SandboxState.PAUSED if paused else SandboxState.RUNNING,
    )


def parse(query: dict[str, Any] | str) -> ListQuery:
    return parse_list_query(QueryParams(query), CATALOGUE)


def ids(lives: Sequence[SandboxLife]) -> list[str]:
    return [one.sandbox_id for one in lives]


def pages(lives: Sequence[SandboxLife], **query: Any) -> list[list[str]]:
    """Every page, as a client that follows the tokens sees them."""
    found, token = [], ""
    while True:
        page = take_page(lives, parse({**query, "nextToken": token}))
        found.append(ids(page.rows))
        if page.next_token is None:
            return found
        token = page.next_token


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_hold_every_sandbox_once_even_within_one_instant(order: str) -> None:
    """Sandboxes of the same microsecond are told apart by id."""
    lives = [life(number, age_s=number // 4) for number in range(11)]
    flat = [one for page in pages(lives, order=order, limit=3) for one in page]
    assert sorted(flat) == ids(lives)
    expected = ids(lives) if order == "desc" else ids(lives)[::-1]
    assert flat == expected


def test_page_that_is_just_full_has_no_next_one() -> None:
    """No empty page at the end."""
    lives = [life(number, age_s=number) for number in range(4)]
    assert pages(lives, limit=2) == [["i000", "i001"], ["i002", "i003"]]


def test_sandbox_made_while_paging_does_not_appear_or_shift() -> None:
    """A cursor points into the listing and not at a position."""
    lives = [life(number, age_s=number) for number in range(4)]
    first = take_page(lives, parse({"limit": 2}))
    lives.append(life(99, age_s=-5))
    second = take_page(lives, parse({"limit": 2, "nextToken": first.next_token}))
    assert ids(second.rows) == ["i002", "i003"]


def test_total_running_counts_over_all_pages_or_is_absent() -> None:
    """It is told only where running ones were asked for."""
    lives = [life(1), life(2), life(3, paused=True)]
    assert take_page(lives, parse({"limit": 1})).total_running == 2
    assert take_page(lives, parse({"state": "paused"})).total_running is None


@pytest.mark.parametrize(
    ("query", "states"),
    [
        ("state=running,paused", {"running", "paused"}),
        ("state=running%2Cpaused", {"running", "paused"}),
        ("state=running&state=paused", {"running", "paused"}),
        ("state=paused", {"paused"}),
        ("", {"running", "paused"}),
    ],
)
def test_states_come_in_three_forms(query: str, states: set[str]) -> None:
    """Joined by commas, quoted or not, or repeated."""
    assert {state.value for state in parse(query).states} == states


def test_started_after_is_inclusive_to_the_microsecond() -> None:
    """A sandbox's own start finds it."""
    older, newer = life(1, age_s=1), life(2)
    since = newer.started_at.isoformat()
    assert ids(take_page([older, newer], parse({"startedAfter": since})).rows) == ["i002"]
    later = (newer.started_at + timedelta(microseconds=1)).isoformat()
    assert take_page([older, newer], parse({"startedAfter": later})).rows == ()
    assert parse(f"startedAfter={since}").started_after == newer.started_at  # an unquoted +


def test_template_filter_takes_id_or_alias_and_an_unknown_one_finds_nothing() -> None:
    """An unknown template is no error."""
    lives = [life(1)]
    for name, count in (("base", 1), (CATALOGUE.get("base").template_id, 1), ("nope", 0)):
        assert len(take_page(lives, parse({"template": name})).rows) == count


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"limit": "0"}, '"limit".*at least 1'),
        ({"limit": "-3"}, '"limit".*at least 1'),
        ({"limit": "ten"}, '"limit".*invalid integer'),
        ({"order": "up"}, '"order".*"up"'),
        ({"state": "dead"}, '"state".*"dead"'),
        ({"startedAfter": "yesterday"}, '"startedAfter".*"yesterday"'),
        ({"template": "base:v1"}, "tags are not supported"),
        ({"nextToken": "!!"}, "Invalid next token"),
        ({"nextToken": base64.urlsafe_b64encode(b"x").decode()}, "Invalid next token"),
    ],
)
def test_parameter_that_does_not_fit_is_refused(query: dict[str, str], words: str) -> None:
    """In the words of the validator, with status 400."""
    with pytest.raises(ApiError, match=words) as refusal:
        parse(query)
    assert refusal.value.status == 400


def test_cursor_of_one_order_is_refused_in_the_other() -> None:
    """Replaying it would serve what was served before."""
    lives = [life(number, age_s=number) for number in range(3)]
    token = take_page(lives, parse({"limit": 1})).next_token
    with pytest.raises(ApiError, match="Invalid next token"):
        parse({"limit": 1, "order": "asc", "nextToken": token})


def test_limit_past_the_largest_page_is_the_largest_page() -> None:
    """A hundred."""
    assert parse({"limit": "5000"}).limit == 100


@given(st.dictionaries(st.text(min_size=1), st.text(), min_size=1))
def test_metadata_survives_the_two_quotings_of_the_sdk(metadata: dict[str, str]) -> None:
    """What e2b's paginator does to a filter is undone."""
    sent = urlencode({quote(key): quote(value) for key, value in metadata.items()})
    assert parse_metadata(sent) == metadata


def test_metadata_must_match_in_every_pair() -> None:
    """Equality, not containment."""
    lives = [life(1, a="1", b="2"), life(2, a="1"), life(3, a="12")]
    assert ids(take_page(lives, parse({"metadata": "a=1"})).rows) == ["i001", "i002"]
    assert ids(take_page(lives, parse({"metadata": "a=1&b=2"})).rows) == ["i001"]
