"""Each encoding is searched for in the form that others really write."""

import base64

import pytest

from harness.redaction.encodings import ENCODINGS, MIN_FORM_BYTES, forms
from harness.redaction.strength import Strength, strength


def test_forms_of_a_simple_value_are_named_after_the_first_encoding() -> None:
    """A value without special characters has one form in text."""
    found = {form.data: form.encoding for form in forms("abcdef123456")}
    assert found[b"abcdef123456"] == "plain"
    assert "json" not in found.values()
    assert "url" not in found.values()
    assert found[b"abcdef123456".hex().encode()] == "hex"


def test_forms_show_no_value_in_their_repr() -> None:
    """A traceback with a form in it leaks nothing."""
    assert "abcdef" not in repr(forms("abcdef123456"))


def test_forms_are_never_short() -> None:
    """What is shorter than six bytes occurs by chance."""
    assert all(
        len(form.data) >= MIN_FORM_BYTES
        for value in ("a", "abc", "abcdef")
        for form in forms(value)
    )


@pytest.mark.parametrize("length", range(6, 20))
@pytest.mark.parametrize("offset", range(3))
def test_forms_base64_core_does_not_depend_on_neighbours(length: int, offset: int) -> None:
    """For every length and offset one of the cores is in the encoded text, whatever is around."""
    value = "".join(chr(ord("a") + i) for i in range(length))
    cores = [form.data for form in forms(value) if form.encoding == "base64"]
    for neighbour in (b"\x00", b"\xff", b"Q"):
        whole = base64.b64encode(neighbour * offset + value.encode() + neighbour * 4)
        assert any(core in whole for core in cores)


def test_forms_of_lines_cover_their_joins_and_each_line() -> None:
    """A key block is known with either line end, without, and line by line."""
    lines = ["-----BEGIN X-----", "0123456789abcdefgh", "-----END X-----"]
    data = {form.data for form in forms("\n".join(lines))}
    assert {"\r\n".join(lines).encode(), "".join(lines).encode(), lines[1].encode()} <= data


def test_encodings_each_yields_something_of_its_own() -> None:
    """No entry of the table is idle: each finds a form that no other one finds."""
    value = "p4ss'w\"rd&<é/%+=x"  # pragma: allowlist secret
    short = value[:10]
    assert {f.encoding for v in (value, short) for f in forms(v)} == set(ENCODINGS)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("root", Strength.WEAK),
        ("Password", Strength.WEAK),
        ("33060000", Strength.WEAK),
        ("ababab", Strength.WEAK),
        ("your-api-key-here", Strength.PLACEHOLDER),
        ("${MYSQL_PASSWORD}", Strength.PLACEHOLDER),
        ("xxxxxxxxxx", Strength.PLACEHOLDER),
        ("hunter2", Strength.STRONG),
        ("correct horse", Strength.STRONG),
        ("é%ü1", Strength.STRONG),
    ],
)
def test_strength_tells_words_and_placeholders_from_values(value: str, expected: Strength) -> None:
    """Only what can be told apart from ordinary text is searched for everywhere."""
    assert strength(value) is expected
