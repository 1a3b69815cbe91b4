"""A stream is redacted as it passes, with a bounded part of it held back."""

import base64
import secrets

import pytest

from harness.redaction import Redactor, StreamFilter
from harness.redaction.stream import MAX_HELD_BYTES
from harness.secret_values import Secret

VALUE = "tok-" + "7f3a9c" * 4
REDACTOR = Redactor([Secret("API_TOKEN", VALUE)])
KEY = "\n".join(
    (
        "-----{} PRIVATE KEY-----".format("BEGIN"),
        *(base64.b64encode(bytes(range(i, i + 48))).decode() for i in range(6)),
        "-----{} PRIVATE KEY-----".format("END"),
        "",
    )
)


def test_stream_filter_whole_line_passes_at_once() -> None:
    """A log can be followed: a finished line does not wait for the next one."""
    stream = StreamFilter(REDACTOR)
    assert stream.feed(f"see {VALUE}\nnext".encode()) == b"see <secret:API_TOKEN>\n"
    assert stream.held_bytes == len("next")
    assert stream.close() == b"next"
    assert stream.close() == b""


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_stream_filter_private_key_in_any_chunks_goes_whole(size: int) -> None:
    """A key that spans lines is masked as one, however it arrives."""
    data = f"before\n{KEY}after\n".encode()
    stream = StreamFilter(REDACTOR)
    out = b"".join(stream.feed(data[i : i + size]) for i in range(0, len(data), size))
    assert out + stream.close() == b"before\n<secret:private-key>\nafter\n"


def test_stream_filter_line_without_end_is_bounded_and_hides_values() -> None:
    """A line of megabytes is passed on in parts, and no value on it is lost at a cut."""
    stream = StreamFilter(REDACTOR)
    filler = secrets.token_hex(500)
    out = bytearray()
    count = 0
    for number in range(2_000):
        chunk = filler[: 400 + number % 100] + (VALUE if number % 3 == 0 else "")
        count += number % 3 == 0
        out += stream.feed(chunk.encode())
        assert stream.held_bytes <= MAX_HELD_BYTES + len(chunk)
    out += stream.close()
    assert VALUE.encode() not in out
    assert out.count(b"<secret:API_TOKEN>") == count


def test_stream_filter_key_that_never_ends_does_not_hold_the_stream() -> None:
    """A beginning without an end is let go after 16 KiB."""
    stream = StreamFilter(REDACTOR)
    out = stream.feed(KEY.partition("-----END")[0].encode())
    for _ in range(400):
        out += stream.feed(b"an ordinary line, with a comma and more than sixteen characters\n")
    assert stream.held_bytes < MAX_HELD_BYTES
    assert out.endswith(b"characters\n")
