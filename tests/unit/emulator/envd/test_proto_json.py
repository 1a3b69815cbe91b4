"""proto3's JSON mapping."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.emulator.envd.connect import ConnectError
from harness.emulator.envd.proto_json import Fields, encode_bytes, without_defaults


@given(st.binary())
def test_bytes_are_read_in_every_alphabet(data: bytes) -> None:
    """Standard or URL-safe, padded or not."""
    for text in (encode_bytes(data), base64.urlsafe_b64encode(data).decode()):
        assert Fields({"data": text}).data("data") == data
        assert Fields({"data": text.rstrip("=")}).data("data") == data


def test_names_come_in_both_spellings() -> None:
    """camelCase, or as in the .proto."""
    assert Fields({"watcherId": "w"}).text("watcherId") == "w"
    assert Fields({"watcher_id": "w"}).text("watcherId") == "w"


def test_unset_fields_have_their_defaults() -> None:
    """Null is unset too."""
    fields = Fields({"n": None})
    assert (fields.text("t"), fields.number("n"), fields.boolean("b")) == ("", 0, False)
    assert (fields.texts("l"), fields.text_map("m"), fields.data("d")) == ([], {}, b"")
    assert fields.boolean("stdin", default=True) is True
    assert not fields.has("n")
    assert fields.message("process").text("cmd") == ""


@pytest.mark.parametrize("value", [7, "7", 7.0], ids=["int", "string", "float"])
def test_numbers_may_be_strings(value: object) -> None:
    """As 64-bit ones are."""
    assert Fields({"n": value}).number("n") == 7


@pytest.mark.parametrize(
    ("read", "value"),
    [
        ("number", "x"),
        ("number", 1.5),
        ("number", True),
        ("number", []),
        ("text", 1),
        ("boolean", "true"),
        ("texts", ["a", 1]),
        ("text_map", {"a": 1}),
        ("message", []),
        ("data", "%%%"),
    ],
)
def test_value_of_another_kind_is_refused_with_its_field(read: str, value: object) -> None:
    """The client reads which field was wrong."""
    with pytest.raises(ConnectError, match="invalid value for field name"):
        getattr(Fields({"name": value}), read)("name")


def test_defaults_are_not_written() -> None:
    """As envd leaves them out; old clients refuse fields that they do not know."""
    message = {"exitCode": 0, "exited": False, "status": "", "l": [], "error": None, "pid": 3}
    assert without_defaults(message) == {"pid": 3}
