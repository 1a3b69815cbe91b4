r"""Text without its escapes: URLs, JSON and other literals, XML, quoted-printable, UTF-16, colours.

Whole blocks are rewritten by replacement, not character by character: a log of JSON
records has escapes on every line.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from urllib.parse import unquote_to_bytes

from harness.redaction.sighting import Mark

__all__ = ["COLOUR", "ESCAPE_MARKS", "TERMINAL_CODES", "UNESCAPERS", "utf_16_texts"]

# As it is, and as JSON, Python, shells, XML and pytest's JUnit files write it.
_ESCAPE = rb"(?:\x1b|\\u001[bB]|\\x1[bB]|\\0?33|\\e|&#27;|&?#x1[bB];?)"
# Colours and links, as programs write them to a terminal.
TERMINAL_CODES = re.compile(
    _ESCAPE + rb"\[[0-9;:?]{0,64}[A-Za-z]|\x1b\][^\x07\x1b]{0,1024}(?:\x07|\x1b\\)"
)
COLOUR = _ESCAPE + rb"\[[0-9;]{0,32}m"
ESCAPE_MARKS = (
    Mark(name="url", expression=rb"%[0-9a-fA-F]{2}"),
    Mark(name="json", expression=rb"\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[0-7]{3}|[/\x22\x27\\])"),
    # Wrapped base64 in a text of JSON; line breaks alone are in every second text.
    Mark(name="json", expression=rb"(?:[A-Za-z0-9+/]{12}|=)(?:\\r)?\\n[A-Za-z0-9+/=]{2}"),
    Mark(name="xml", expression=rb"&(?:#|am|qu|lt|gt|ap)"),
    Mark(
        name="quoted-printable",
        expression=rb"=(?:3D|0[0-9A-F]|1[0-9A-F]=|[89A-F][0-9A-F]|20=|20[^0-9\-])",
    ),
    Mark(name="shell", expression=rb"'(?:\x22'\x22|\\')'"),
    Mark(name="csv", expression=rb"[^\s,:;=({\[>\x22]\x22\x22[^\s,:;)}\]<\x22]"),
    Mark(name="colours", expression=COLOUR),
    Mark(name="utf-16", expression=rb"(?:[\x09\x20-\x7e]\x00{1,3}){8}", once=True),
)
_WIDE = re.compile(rb"(?:[\t\r\n -~]\0{1,3}){8,}")
_AROUND_BYTES = 512
_ESCAPED = re.compile(rb"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|([0-7]{3}))")
_HELD = b"\0\1backslash\1\0"  # stands for a backslash while others are replaced
_LETTERS = (
    *((b'\\"', b'"'), (b"\\'", b"'"), (b"\\/", b"/"), (b"\\n", b"\n"), (b"\\r", b"\r")),
    *((b"\\t", b"\t"), (b"\\b", b"\b"), (b"\\f", b"\f"), (b"\\a", b"\a"), (b"\\v", b"\v")),
)
_NAMED = ((b"&lt;", b"<"), (b"&gt;", b">"), (b"&quot;", b'"'), (b"&apos;", b"'"), (b"&amp;", b"&"))
_OTHER_ENTITY = re.compile(rb"&#?[0-9A-Za-z]{1,32};?")
_QUOTED = re.compile(rb"=(?:([0-9A-Fa-f]{2})|[ \t]*\r?\n)")
_BYTE_MAX = 0xFF
_ASCII_MAX = 0x7F


def _from_url(text: bytes) -> list[bytes]:
    return [unquote_to_bytes(text)]


def _from_literal(text: bytes) -> list[bytes]:
    """JSON's, Python's and C's escapes; what names a byte may be one, or a character."""
    if not _ESCAPED.search(text):
        return [_plain_escapes(text)]
    parts = text.split(b"\\\\")
    characters = b"\\\\".join(_ESCAPED.sub(_character, part) for part in parts)
    found = [_plain_escapes(characters)]
    as_bytes = b"\\\\".join(_ESCAPED.sub(_byte, part) for part in parts)
    return found if as_bytes == characters else [*found, _plain_escapes(as_bytes)]


def _plain_escapes(text: bytes) -> bytes:
    if b"\\" not in text:
        return text
    text = text.replace(b"\\\\", _HELD)
    for written, letter in _LETTERS:
        if written in text:
            text = text.replace(written, letter)
    return text.replace(_HELD, b"\\")


def _code(match: re.Match[bytes]) -> int:
    return int(match[3], 8) if match[3] else int(match[1] or match[2], 16)


def _character(match: re.Match[bytes]) -> bytes:
    return chr(_code(match)).encode("utf-8", "surrogatepass")


def _byte(match: re.Match[bytes]) -> bytes:
    code = _code(match)
    return bytes([code]) if _ASCII_MAX < code <= _BYTE_MAX else _character(match)


def _from_xml(text: bytes) -> list[bytes]:
    for written, character in _NAMED:
        text = text.replace(written, character)
    if not _OTHER_ENTITY.search(text):
        return [text]
    return [html.unescape(text.decode("utf-8", "surrogateescape")).encode("utf-8", "replace")]


def _from_quoted_printable(text: bytes) -> list[bytes]:
    return [_QUOTED.sub(lambda match: bytes([int(match[1], 16)]) if match[1] else b"", text)]


def _from_shell(text: bytes) -> list[bytes]:
    return [text.replace(b"'\"'\"'", b"'").replace(b"'\\''", b"'")]


def _from_csv(text: bytes) -> list[bytes]:
    return [text.replace(b'""', b'"')]


def _from_colours(text: bytes) -> list[bytes]:
    return [TERMINAL_CODES.sub(b"", text)]


def utf_16_texts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The readings of UTF-16 and UTF-32, with where they begin: their byte order is not known."""
    end = 0
    for match in _WIDE.finditer(data):
        if match.start() < end:
            continue
        start = max(match.start() - _AROUND_BYTES, end)
        end = match.end() + _AROUND_BYTES
        while following := _WIDE.match(data, end):  # cut by characters that are not ASCII
            end = following.end() + _AROUND_BYTES
        region = data[start:end]
        ascii_only = region.translate(None, b"\0")
        yield start, ascii_only
        if not ascii_only.isascii():
            for order in ("utf-16-le", "utf-16-be"):
                for offset in (0, 1):
                    text = region[offset:].decode(order, "ignore")
                    yield start, text.encode("utf-8", "ignore")


# Each gives the readings of a text, most often one.
UNESCAPERS: dict[str, Callable[[bytes], list[bytes]]] = {
    "url": _from_url,
    "json": _from_literal,
    "xml": _from_xml,
    "quoted-printable": _from_quoted_printable,
    "shell": _from_shell,
    "csv": _from_csv,
    "colours": _from_colours,
}
