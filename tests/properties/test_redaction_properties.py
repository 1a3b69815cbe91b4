"""Redaction, stated as laws: nothing survives, nothing else changes, any cut will do."""

import base64
import json
from urllib.parse import quote
from xml.sax.saxutils import escape

from hypothesis import example, given
from hypothesis import strategies as st

from harness.redaction import Redactor, StreamFilter
from harness.redaction.strength import Strength, strength
from harness.secret_values import Secret

PASSWORD = "p4ss'w\"rd&<é/%+=x"  # pragma: allowlist secret
TOKEN = "tok-" + "7f3a9c" * 4
MULTILINE = "first line 1\nsecond line 2\nthird"
REDACTOR = Redactor(
    [
        Secret("MYSQL_PASSWORD", PASSWORD),
        Secret("API_TOKEN", TOKEN),
        Secret("PEM_SECRET", MULTILINE),
    ]
)

# Text made of what matters: values in their encodings, what surrounds them, and anything else.
PIECES = st.one_of(
    st.sampled_from(
        [
            PASSWORD,
            TOKEN,
            MULTILINE,
            json.dumps(PASSWORD),
            escape(PASSWORD),
            quote(PASSWORD),
            base64.b64encode(f"x{TOKEN}".encode()).decode(),
            f"mysql://root:{PASSWORD}@host/db",
            f"postgresql://u:{TOKEN}@h:5432/d?sslmode=require",
            "mysql://a:b@c/d",
            "://",
            "@",
            ":",
            "password=",
            "Authorization: Bearer ",
            "<secret:API_TOKEN>",
            "***",
            "\n",
            "\\n",
            '"',
            " ",
            TOKEN[:9],
            TOKEN[9:],
            "e2b_" + "0123456789abcdef" * 2 + "01234567",
        ]
    ),
    st.text(max_size=12),
)
TEXTS = st.lists(PIECES, max_size=12).map("".join)


@given(TEXTS)
@example("a://b@c://d@e")
@example("password=password=x")
@example("\ud800 mysql://u:p@h")
def test_redaction_twice_is_redaction_once(text: str) -> None:
    """Redacting what is redacted changes nothing."""
    once = REDACTOR.text(text)
    assert REDACTOR.text(once) == once


@given(TEXTS)
def test_redaction_of_any_text_leaves_no_known_value(text: str) -> None:
    """No known value survives, plain or encoded."""
    redacted = REDACTOR.text(text)
    for value in (PASSWORD, TOKEN, MULTILINE):
        assert value not in redacted
        assert json.dumps(value)[1:-1] not in redacted
        assert quote(value, safe="") not in redacted
    # The scan's own eyes, on the bytes.
    assert REDACTOR.known.spans(redacted.encode("utf-8", "surrogatepass")) == []


@given(st.text(alphabet=st.characters(exclude_characters="@:=?&"), max_size=200))
def test_redaction_of_benign_text_changes_nothing(text: str) -> None:
    """Without a value or a sign of one, text stays as it is."""
    assert REDACTOR.text(text) == text


@given(TEXTS, st.lists(st.integers(min_value=1, max_value=40), max_size=20))
def test_stream_filter_cut_anywhere_gives_what_the_whole_gives(text: str, sizes: list[int]) -> None:
    """However a stream is cut into chunks, the same comes out."""
    data = text.encode("utf-8", "surrogatepass")
    stream = StreamFilter(REDACTOR)
    out = b""
    position = 0
    for size in sizes:
        out += stream.feed(data[position : position + size])
        position += size
    out += stream.feed(data[position:]) + stream.close()
    assert out == REDACTOR.data(data)


@given(
    st.binary(max_size=60),
    st.sampled_from([PASSWORD.encode(), TOKEN.encode(), MULTILINE.encode()]),
    st.binary(max_size=60),
)
def test_stream_filter_cut_at_every_position_leaks_nothing(
    before: bytes, value: bytes, after: bytes
) -> None:
    """A value that two chunks share is found at each of its bytes."""
    data = before + value + after
    for cut in range(len(before), len(before) + len(value) + 1):
        stream = StreamFilter(REDACTOR)
        out = stream.feed(data[:cut]) + stream.feed(data[cut:]) + stream.close()
        assert value not in out


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | TEXTS,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["password", "user", "apiKey", "note"]), inner)
        ),
        max_leaves=8,
    )
)
def test_redaction_of_json_twice_is_once_and_leaves_no_known_value(value: object) -> None:
    """By structure as by text; the shape of containers stays."""
    once = REDACTOR.json(value)  # type: ignore[arg-type]  # hypothesis does not type recursion
    assert REDACTOR.json(once) == once
    assert type(once) is type(value)
    assert REDACTOR.known.spans(json.dumps(once).encode()) == []


@given(st.text(min_size=1, max_size=24))
def test_redactor_of_any_strong_value_hides_it(value: str) -> None:
    """Whatever a password is made of, it goes where it is strong enough to be told apart."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return
    if strength(value) is not Strength.STRONG:
        return
    redacted = Redactor([Secret("X", value)]).text(f"before {value} after")
    assert value not in redacted.replace("<secret:X>", "")
