"""The emulator's ledger."""

from __future__ import annotations

import json

import pytest

from harness.clock import ManualClock
from harness.emulator.ledger import Ledger, mask_values, redact_query


def test_lines_are_in_order_and_open_entries_have_no_status() -> None:
    """A request that has not been answered is there already."""
    ledger = Ledger()
    now = ManualClock().now()
    first = ledger.open(time=now, method="GET", path="/a", query="")
    ledger.open(time=now, method="POST", path="/b", query="x=1")
    first.status = 200
    lines = [json.loads(line) for line in ledger.lines()]
    assert [(line["n"], line["path"], line["status"]) for line in lines] == [
        (1, "/a", 200),
        (2, "/b", None),
    ]
    ledger.clear()
    assert list(ledger.lines()) == []
    assert ledger.open(time=now, method="GET", path="/c", query="").number == 1


@pytest.mark.parametrize(
    ("query", "redacted"),
    [
        ("", ""),
        ("path=a%2Fb&signature=v1_abc", "path=a%2Fb&signature=%2A%2A%2A"),
        ("API_KEY=x&empty=", "API_KEY=%2A%2A%2A&empty="),
    ],
)
def test_redact_query_masks_secret_parameters_only(query: str, redacted: str) -> None:
    """What is asked for stays readable."""
    assert redact_query(query) == redacted


def test_mask_values_names_what_it_hides_longest_first() -> None:
    """A value inside a longer one does not leave the rest of that bare."""
    envs = {"SHORT": "secret", "LONG": "secret-and-more", "ONE": "1"}
    text = "use secret-and-more and secret but 1 stays; token-token"
    masked = mask_values(text, envs, secrets=["token-token"])
    assert masked == "use [LONG] and [SHORT] but 1 stays; ***"
