"""The forms in which one value can stand in a file.

One table: each encoding yields the bytes that a search must look for. Base64 has
no fixed form, it depends on where the value begins: the part that does not depend
on its neighbours is yielded for each of the three offsets.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
import shlex
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus

__all__ = ["ENCODINGS", "MIN_FORM_BYTES", "Form", "forms"]

MIN_FORM_BYTES = 6  # Shorter ones occur by chance.
_MIN_LINE_BYTES = 16
_SHORT_BYTES = 15
_ASCII_MAX = 0x7F
# What JavaScript's encodeURIComponent and encodeURI leave as it is, besides what Python does.
_COMPONENT_SAFE = "!*'()"
_ATTRIBUTE_SPACE = {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
_URI_SAFE = "!*'();/?:@&=+$,#"


@dataclass(frozen=True, slots=True)
class Form:
    """One way to write a value.

    Attributes:
        encoding: the encoding's name.
        data: the bytes to look for; never shown.
    """

    encoding: str
    data: bytes = field(repr=False)


def forms(value: str) -> tuple[Form, ...]:
    """Every form of a value, each different, none shorter than six bytes.

    The first encoding of `ENCODINGS` that yields a form gives it its name: a value of
    letters and digits has one form for plain, JSON, XML and URL, which is "plain".
    """
    raw = value.encode("utf-8", "surrogateescape")
    found: dict[bytes, Form] = {}
    for name, encode in ENCODINGS.items():
        for data in encode(raw):
            if len(data) >= MIN_FORM_BYTES:
                found.setdefault(data, Form(name, data))
    return tuple(found.values())


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _plain(raw: bytes) -> Iterator[bytes]:
    yield raw
    lines = raw.splitlines()
    if len(lines) > 1:
        for newline in (b"\n", b"\r\n", b""):
            yield newline.join(lines)
        yield from (line for line in lines if len(line) >= _MIN_LINE_BYTES)


_UNICODE = re.compile(r"\\u([0-9a-f]{4})")


def _json(raw: bytes) -> Iterator[bytes]:
    for ascii_only in (True, False):
        once = json.dumps(_text(raw), ensure_ascii=ascii_only)[1:-1]
        twice = json.dumps(once, ensure_ascii=ascii_only)[1:-1]
        yield from map(_bytes, (once, once.replace("/", "\\/"), twice))
        yield _bytes(_as_numbers(once, "<>&", "04x"))  # so writes Go
        upper = _UNICODE.sub(lambda match: rf"\u{match[1].upper()}", once)
        yield _bytes(_as_numbers(upper.replace('\\"', '"'), "<>&'+`\"", "04X"))  # so does .NET


def _as_numbers(text: str, characters: str, digits: str) -> str:
    return "".join(f"\\u{ord(char):{digits}}" if char in characters else char for char in text)


def _python(raw: bytes) -> Iterator[bytes]:
    text = _text(raw)
    yield _bytes(repr(text)[1:-1])
    yield _bytes(repr(raw)[2:-1])
    yield _bytes(ascii(text)[1:-1])
    # YAML between double quotes, and the dumps of MySQL.
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    yield "".join(_yaml_character(character) for character in escaped).encode("utf-8", "replace")
    yield _bytes(escaped.replace("'", "\\'"))


def _yaml_character(character: str) -> str:
    code = ord(character)
    if code <= _ASCII_MAX:
        return character
    width = next(width for width in (2, 4, 8) if code < 16**width)
    return f"\\{'xuU'[width // 4]}{code:0{width}X}"


def _charsets(raw: bytes) -> Iterator[bytes]:
    """What is not ASCII in older character sets, taken for one, and with accents apart."""
    text = raw.decode("utf-8", "replace")
    if text.isascii():
        return
    for charset in ("latin-1", "cp1252", "cp1250", "iso8859-2"):
        with suppress(UnicodeError):
            yield text.encode(charset)
        with suppress(UnicodeError):
            yield raw.decode(charset).encode()
    for form in ("NFC", "NFD"):
        yield unicodedata.normalize(form, text).encode()


def _xml(raw: bytes) -> Iterator[bytes]:
    text = _text(raw)
    three = html.escape(text, quote=False)
    yield _bytes(three)
    for double in ("&quot;", "&#34;", "&#x22;"):
        quoted = three.replace('"', double)
        yield _bytes(quoted)
        for single in ("&apos;", "&#39;", "&#x27;", "&#039;"):
            yield _bytes(quoted.replace("'", single))
    for one_line in (three, three.replace('"', "&quot;")):
        yield _bytes("".join(_ATTRIBUTE_SPACE.get(character, character) for character in one_line))
    yield from (form.encode("ascii", "xmlcharrefreplace") for form in (text, three))


def _url(raw: bytes) -> Iterator[bytes]:
    for safe in ("", "/", _COMPONENT_SAFE, _URI_SAFE):
        once = quote(raw, safe=safe)
        yield from map(_bytes, (once, _lower_escapes(once), quote(once, safe="")))
    plus = quote_plus(raw)
    yield from map(_bytes, (plus, _lower_escapes(plus)))


def _lower_escapes(quoted: str) -> str:
    parts = quoted.split("%")
    return "%".join([parts[0], *(part[:2].lower() + part[2:] for part in parts[1:])])


def _base64(raw: bytes) -> Iterator[bytes]:
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + raw + bytes(3))
        # Only the characters whose six bits all come from the value.
        core = encoded[-(-8 * offset // 6) : 8 * (offset + len(raw)) // 6]
        yield core
        yield core.translate(bytes.maketrans(b"+/", b"-_"))


def _base64_wide(raw: bytes) -> Iterator[bytes]:
    """Of UTF-16, as PowerShell's encoded commands are."""
    yield from _base64(raw.decode("utf-8", "replace").encode("utf-16-le"))


def _base32(raw: bytes) -> Iterator[bytes]:
    for offset in range(5):
        encoded = base64.b32encode(bytes(offset) + raw + bytes(5))
        core = encoded[-(-8 * offset // 5) : 8 * (offset + len(raw)) // 5]
        yield core
        yield core.lower()


def _numbers(raw: bytes) -> Iterator[bytes]:
    """A list of bytes, as Node, Python and Go print one."""
    for separator in (", ", ",", " "):
        yield separator.join(map(str, raw)).encode()


def _base64_twice(raw: bytes) -> Iterator[bytes]:
    """Of a short value; what stands for a longer one looks like text and is decoded."""
    if len(raw) < _SHORT_BYTES:
        for once in _base64(raw):
            yield from _base64(once)


def _hex(raw: bytes) -> Iterator[bytes]:
    plain = binascii.hexlify(raw)
    pairs = [plain[i : i + 2] for i in range(0, len(plain), 2)]
    for separator in (b"", b":", b" ", b"-", b", 0x", b",0x", b"\\x", b" 0x"):
        yield separator.join(pairs)
        yield separator.join(pair.upper() for pair in pairs)


def _escaped(raw: bytes) -> Iterator[bytes]:
    """Every character written as a number, in the ways of JSON, XML, URL and C."""
    text = raw.decode("utf-8", "replace")
    for format_character in ("\\u{:04x}", "\\u{:04X}", "&#x{:x};", "&#x{:X};", "&#{};"):
        yield "".join(format_character.format(ord(character)) for character in text).encode()
    for format_byte in ("%{:02X}", "%{:02x}", "={:02X}", "\\{:03o}"):
        yield "".join(format_byte.format(byte) for byte in raw).encode()


def _utf_16(raw: bytes) -> Iterator[bytes]:
    text = raw.decode("utf-8", "replace")
    yield text.encode("utf-16-le")
    yield text.encode("utf-16-be")


def _reversed(raw: bytes) -> Iterator[bytes]:
    """Of the value, and of what stands for it: nobody decodes from the end."""
    yield _bytes(_text(raw)[::-1])
    digits = binascii.hexlify(raw)
    for encoded in (*_base64(raw), digits, digits.upper(), *_url(raw), *_json(raw)):
        yield encoded[::-1]
    if len(raw) < _SHORT_BYTES:
        yield from _base64(_bytes(_text(raw)[::-1]))


def _quoted_printable(raw: bytes) -> Iterator[bytes]:
    for text in (False, True):
        for header in (False, True):
            encoded = binascii.b2a_qp(raw, quotetabs=True, istext=text, header=header)
            yield encoded.replace(b"=\n", b"")


def _shell(raw: bytes) -> Iterator[bytes]:
    text = _text(raw)
    yield _bytes(shlex.quote(text)).strip(b"'")
    yield raw.replace(b"'", b"'\\''")
    yield b"".join(
        bytes([byte])
        if chr(byte).isalnum() or byte in b"_-./:@%+=," or not chr(byte).isascii()
        else b"\\%c" % byte
        for byte in raw
    )
    yield _bytes("".join(f"\\{char}" if char in '"$`\\!' else char for char in text))
    for quote_mark in (b"\\'", b"\\047"):  # within $'…', as bash's trace writes it
        yield b"".join(
            quote_mark
            if byte == ord("'")
            else b"\\\\"
            if byte == ord("\\")
            else bytes([byte])
            if ord(" ") <= byte < _ASCII_MAX
            else b"\\%03o" % byte
            for byte in raw
        )


def _doubled(raw: bytes) -> Iterator[bytes]:
    """Quotes doubled, as in CSV and SQL."""
    yield raw.replace(b'"', b'""')
    yield raw.replace(b"'", b"''")


ENCODINGS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "plain": _plain,
    "json": _json,
    "python": _python,
    "xml": _xml,
    "url": _url,
    "base64": _base64,
    "base64 twice": _base64_twice,
    "base64 of utf-16": _base64_wide,
    "base32": _base32,
    "hex": _hex,
    "escaped": _escaped,
    "utf-16": _utf_16,
    "reversed": _reversed,
    "quoted-printable": _quoted_printable,
    "shell": _shell,
    "doubled": _doubled,
    "numbers": _numbers,
    "another character set": _charsets,
}
