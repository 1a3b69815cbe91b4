"""Each encoding is searched for in the form that others really write."""

import base64
import json
import unicodedata

import pytest
import yaml

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


ODD = "Zlú'ť<oučk&ý>-9x\"k%+=/q7"
# What programs write that Python's own encoders do not, from what these programs print.
WRITTEN = {
    "ascii of Python": ascii(ODD)[1:-1].encode(),
    "Go's JSON": '"Zlú\'ť\\u003coučk\\u0026ý\\u003e-9x\\"k%+=/q7"'.encode(),
    ".NET's JSON": (rb"Zl\u00FA\u0027\u0165\u003Cou\u010Dk\u0026\u00FD\u003E-9x\u0022k%\u002B=/q7"),
    "YAML": yaml.safe_dump(ODD, width=999)[1:-2].encode(),
    "dump of MySQL": "Zlú\\'ť<oučk&ý>-9x\\\"k%+=/q7".encode(),
    "trace of bash": (rb"Zl\303\272\'\305\245<ou\304\215k&\303\275>-9x" + rb'"k%+=/q7'),
    "PowerShell": base64.b64encode("ab".encode("utf-16-le") + ODD.encode("utf-16-le")),
    "base32": base64.b32encode(b"abc" + ODD.encode() + b"d"),
    "buffer of Node": json.dumps(list(ODD.encode())).encode(),
    "bytes of Go": str(list(ODD.encode())).replace(",", "").encode(),
    "cp1250": ODD.encode("cp1250", "ignore"),
    "read as Latin-1": ODD.encode().decode("latin-1").encode(),
    "accents apart": unicodedata.normalize("NFD", ODD).encode(),
}


@pytest.mark.parametrize("program", WRITTEN)
def test_forms_what_other_programs_write_is_among_them(program: str) -> None:
    """Each is found in what the program prints."""
    assert any(form.data in WRITTEN[program] for form in forms(ODD))


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
