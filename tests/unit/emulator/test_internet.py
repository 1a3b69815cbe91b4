"""A stand-in internet, as a test describes it."""

from __future__ import annotations

from typing import Any

import pytest

from harness.emulator.internet_document import parse_internet
from harness.errors import UsageError

GOOD = {"names": ["API.Example.com."], "ports": {"443": "127.0.0.1:4433", "80": "[::1]:8080"}}


def test_host_without_address_gets_one_of_its_own() -> None:
    """Names are in one form, and every host has an address that no other has."""
    internet = parse_internet({"hosts": [GOOD, {"ports": {"80": "127.0.0.1:1"}}]})
    first, second = internet.hosts
    assert first.names == ("api.example.com",)
    assert first.ports == {443: ("127.0.0.1", 4433), 80: ("::1", 8080)}
    assert first.address != second.address


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "no object"),
        ({"hosts": [3]}, "is no object"),
        ({"hosts": [{"names": "a", "ports": {"80": "127.0.0.1:1"}}]}, "no list of strings"),
        ({"hosts": [{"names": ["a"]}]}, "has no ports"),
        ({"hosts": [GOOD | {"ports": {"80": "93.184.216.34:80"}}]}, "not on this machine"),
        ({"hosts": [GOOD | {"ports": {"80": "example.com:80"}}]}, "not on this machine"),
        ({"hosts": [GOOD | {"ports": {"0": "127.0.0.1:1"}}]}, "no port"),
        ({"hosts": [GOOD | {"ports": {"80": "127.0.0.1:65536"}}]}, "no port"),
        ({"hosts": [GOOD | {"address": "127.0.0.2"}]}, "loopback"),
        ({"hosts": [GOOD | {"address": "1.1"}]}, "no IPv4 address"),
        ({"hosts": [GOOD | {"address": "1.1.1.1"}] * 2}, "two hosts have the address 1.1.1.1"),
        ({"hosts": [GOOD], "ca": "text"}, "no PEM"),
    ],
)
def test_internet_that_cannot_be_is_refused_with_the_reason(document: Any, words: str) -> None:
    """Nothing but this machine's loopback answers, and the refusal says what is wrong."""
    with pytest.raises(UsageError, match=words):
        parse_internet(document)


def test_wildcard_is_every_name_below_it_and_not_its_own() -> None:
    """The name itself, and names that only end alike, belong to nobody."""
    (host,) = parse_internet(
        {"hosts": [{"names": ["*.Example.com", "other.org"], "ports": {"80": "127.0.0.1:1"}}]}
    ).hosts
    assert host.has_any_name
    known = ("a.example.com", "a.b.example.com", "other.org")
    assert all(host.answers_to(name) for name in known)
    strange = ("example.com", "badexample.com", "a.other.org", "")
    assert not any(host.answers_to(name) for name in strange)
