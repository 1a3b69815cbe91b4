"""A scan that would not have found a secret does not call anything clean."""

import importlib
import re

import pytest

from harness.redaction import known as known_module
from harness.redaction.encodings import ENCODINGS, Form, forms
from harness.redaction.known import KnownValues
from harness.redaction.scan import Scanner
from harness.redaction.self_test import PLANTS, blind_spots
from harness.secret_values import Secret

# What no search in one piece sees.
ARCHIVES = re.compile(
    r"gzip|zip|tar|pickle|sqlite|over two (?:lines|records)|base64 wrapped|.* (?:in|of) .*"
)
VALUES = (
    Secret("MYSQL_PASSWORD", "p4ss'w\"rd&<é/%+=x\\"),  # pragma: allowlist secret
    Secret("API_TOKEN", "tok-" + "7f3a9c" * 4),
    Secret("SHORT", "abc12"),
    Secret("LINES", "line one of it\nand two\nthree"),
    Secret("SPACES", "with space\tand tab"),
    Secret("PLACEHOLDER", "your-key-here"),
    Secret("SIX", "xyzzy7"),
)


def test_blind_spots_of_a_scanner_that_sees_are_none() -> None:
    """Every form of every value, every detector, and no false alarm."""
    assert blind_spots(Scanner(VALUES), VALUES) == []


@pytest.mark.parametrize("encoding", sorted(set(ENCODINGS) - {"escaped", "base64 twice"}))
def test_blind_spots_without_one_encoding_are_named(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each encoding that falls out of the table is missed, by the scan or by the redaction.

    What decodes, and what puts two halves together, sees some of them all the same.
    """

    def without(value: str) -> tuple[Form, ...]:
        return tuple(form for form in forms(value) if form.encoding != encoding)

    monkeypatch.setattr(known_module, "forms", without)
    known = KnownValues(VALUES[:2])
    unseen = [
        name
        for name, plant in PLANTS.items()
        if not ARCHIVES.fullmatch(name) and not known.spans(plant(VALUES[0].reveal()))
    ]
    assert blind_spots(Scanner(VALUES), VALUES) or unseen


def test_blind_spots_of_a_value_that_is_not_searched_are_named() -> None:
    """A value that the scanner was not given is missed in every form."""
    missed = blind_spots(Scanner(VALUES[:1]), VALUES[:2])
    assert "API_TOKEN as plain" in missed
    assert not any(name.startswith("MYSQL_PASSWORD") for name in missed)


def test_blind_spots_of_a_scanner_that_cries_wolf_are_named() -> None:
    """A value that benign text holds is a false alarm, and breaks the scan."""
    wolf = Secret("WOLF", "pipeline=orders")
    assert "WOLF in benign text" in blind_spots(Scanner([wolf]), [wolf])


def test_known_values_spans_are_in_order_and_apart() -> None:
    """Values in values count once, under the longest one's name."""
    values = KnownValues([Secret("INNER", "inner-value"), Secret("OUTER", "x-inner-value-x")])
    data = b"[x-inner-value-x] [inner-value]"
    assert [(s.name, data[s.start : s.end]) for s in values.spans(data)] == [
        ("OUTER", b"x-inner-value-x"),
        ("INNER", b"inner-value"),
    ]


@pytest.mark.parametrize(
    ("module", "function", "missed"),
    [
        ("search", "found_in_two_parts", "over two literals"),
        ("search", "layer_of", "base64 of gzip"),
        ("layers", "base64_text", "base64 of base64"),
        ("layers", "run_around", "base64 of gzip"),
        ("layers", "_unescaped", "url of json"),
        ("layers", "compressed", "base64 of gzip"),
    ],
)
def test_blind_spots_without_one_rule_are_named(
    module: str, function: str, missed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each rule of the search is needed: without it the scan says what it is blind to."""
    nothings = {"layer_of": None, "run_around": -1}
    nothing = nothings.get(function, ())
    place = importlib.import_module(f"harness.redaction.{module}")
    monkeypatch.setattr(place, function, lambda *_, **__: nothing)
    token = Secret("TOKEN", 'Xk29/fq71+Lm83=Zt"&é')
    assert f"TOKEN as {missed}" in blind_spots(Scanner([token]), [token])
