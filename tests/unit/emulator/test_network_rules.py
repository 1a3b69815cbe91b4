"""Rules of a network that the service refuses are refused, and those that it takes are taken."""

from __future__ import annotations

from typing import Any

import pytest

from harness.emulator.api_error import ApiError
from harness.emulator.egress import check_network


def rule(**headers: str) -> list[dict[str, Any]]:
    return [{"transform": {"headers": headers}}]


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ({"rules": {f"a{number}.com": [] for number in range(11)}}, "at most 10 domains"),
        ({"rules": {"": []}}, "must not be empty"),
        ({"rules": {"a" * 129: []}}, "maximum length of 128"),
        ({"rules": {"no host": []}}, 'Rule domain "no host" is not a valid domain name'),
        ({"rules": {"x.com": [{}, {}]}}, 'Domain "x.com" can have at most 1 transform rule'),
        ({"rules": {"x.com": rule(**{f"A{n}": "b" for n in range(21)})}}, "at most 20 headers"),
        ({"rules": {"x.com": rule(**{"": "b"})}}, "must not be empty"),
        ({"rules": {"x.com": rule(**{"A b": "c"})}}, "only valid HTTP token characters"),
        ({"rules": {"x.com": rule(**{"A" * 65: "b"})}}, "maximum length of 64"),
        ({"rules": {"x.com": rule(A="b\nC: d")}}, "contains invalid characters"),
        ({"rules": {"x.com": rule(A="b" * 2049)}}, "maximum length of 2048"),
        ({"rules": {"x.com": {}}}, "must be a list"),
        ({"rules": {"x.com": [{"transform": {"headers": {"A": 1}}}]}}, "must be strings"),
        ({"rules": []}, "must be an object"),
        ({"maskRequestHost": "bad host"}, "mask request host is not valid: bad host"),
        ({"maskRequestHost": "a:b:c"}, "is not valid"),
        ({"maskRequestHost": "bücher.example"}, "is not ASCII"),
    ],
)
def test_network_that_the_service_refuses_is_refused(network: dict[str, Any], words: str) -> None:
    """400 with its words."""
    with pytest.raises(ApiError) as refused:
        check_network(network)
    assert refused.value.status == 400
    assert words in refused.value.message


@pytest.mark.parametrize(
    "network",
    [
        {"rules": {f"a{number}.com": rule(A="b") for number in range(10)}},
        {"rules": {"x.com": rule(**{f"A{n}": "b" for n in range(20)})}},
        {"rules": {"x.com": rule(**{"A" * 64: "b" * 2048})}},
        {"rules": {"10.0.0.0/8": rule(A="b"), "10.1.2.3": [], "*.x.com": [], "x_y.com": [{}]}},
        {"rules": {}, "maskRequestHost": "localhost:${PORT}"},
        {"maskRequestHost": "my-app.example.com"},
        {"rules": None, "maskRequestHost": None},
    ],
)
def test_network_that_the_service_takes_is_taken(network: dict[str, Any]) -> None:
    """The control: at each bound, and what leaves the fields out."""
    check_network(network)
