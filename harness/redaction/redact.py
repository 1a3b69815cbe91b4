"""Redaction: what is written has no secret in it, and still can be compared.

A known value becomes `<secret:NAME>`, the same on both sides and in every run; a
connection string becomes `mysql://***@host/db`; what is known by its form alone
becomes `<secret:kind>` or `***`. Redacting twice changes nothing more.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from harness.model.run import Json
from harness.redaction.canaries import canary_marks
from harness.redaction.known import KnownValues, Span, united
from harness.redaction.matcher import Matcher
from harness.redaction.patterns import redact_patterns
from harness.redaction.ranges import Ranges
from harness.redaction.unescape import COLOUR, TERMINAL_CODES
from harness.secret_values import Secret, is_secret_name
from harness.settings import SECRET_NAMES, known_secrets

__all__ = ["Redactor", "redact_connection_string"]

_TOKEN = re.compile(rb"<secret:[^<>\s]*>")
_MASK = re.compile(r"\*+|<secret:[^<>\s]*>")
_NUMBERS_TOO = re.compile(r"(?i)passw|passphrase|pwd|secret|key")
_COLOURS = Matcher([COLOUR], once=(0,))
_MAX_PASSES = 4  # A mask can bring two halves of a pattern together; two passes have been enough.


class Redactor:
    """Masks secrets in bytes, text and JSON.

    Args:
        secrets: the values that are known; forms that give themselves away (keys,
            tokens, connection strings) are masked also without any.
    """

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self.known = KnownValues(secrets)

    @classmethod
    def of_process(cls, *, root: Path | None = None, secrets: Iterable[Secret] = ()) -> Redactor:
        """A redactor that knows the secrets of the environment and the `.env` files, and canaries.

        Args:
            root: the project folder; the working directory where it is left out.
            secrets: what is known besides, such as an emulator's key.
        """
        return cls((*secrets, *known_secrets(root=root), *canary_marks(SECRET_NAMES)))

    def data(self, data: bytes) -> bytes:
        """The same bytes without secrets; what is no secret stays byte for byte."""
        return _redacted(data, self.known)

    def text(self, text: str) -> str:
        """The same text without secrets."""
        try:
            data, errors = text.encode("utf-8", "surrogateescape"), "surrogateescape"
        except UnicodeEncodeError:  # half a surrogate pair, as broken JSON escapes make it
            data, errors = text.encode("utf-8", "surrogatepass"), "surrogatepass"
        redacted = self.data(data)
        return text if redacted == data else redacted.decode("utf-8", errors)

    def json(self, value: Json) -> Json:
        """The same JSON without secrets: a secret field's value goes, whatever it is.

        Keys are redacted as text. Booleans, nulls and empty strings say nothing and
        stay; so does a number, unless its field is a password's, a secret's or a key's
        (`"pass": 3` counts tests).
        """
        if isinstance(value, dict):
            return {self.text(key): self._field(key, inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.json(inner) for inner in value]
        return self.text(value) if isinstance(value, str) else value

    def _field(self, name: str, value: Json) -> Json:
        if not is_secret_name(name) or value is None or isinstance(value, bool) or value == "":
            return self.json(value)
        if isinstance(value, str):
            known = self.text(value)
            return known if _MASK.fullmatch(known) else f"<secret:{name}>"
        if isinstance(value, list):
            return [self._field(name, inner) for inner in value]
        if isinstance(value, dict):
            return {self.text(key): self._field(name, inner) for key, inner in value.items()}
        return f"<secret:{name}>" if _NUMBERS_TOO.search(name) else value


def redact_connection_string(text: str) -> str:
    """The text with the credentials of every connection string masked.

    `mysql://user:pw@host/db` becomes `mysql://***@host/db`, for any scheme; password
    fields of queries, DSN and ODBC strings (`password=pw`, `PWD={p;w}`) become `***`.
    """
    return Redactor().text(text)


def _redacted(data: bytes, known: KnownValues) -> bytes:
    for _ in range(_MAX_PASSES):
        redacted = redact_patterns(_without_known(data, known))
        if redacted == data:
            break
        data = redacted
    return data


def _without_known(data: bytes, known: KnownValues) -> bytes:
    spans = known.spans(data)
    if _COLOURS.matches(data):
        spans = united((*spans, *_across_colours(data, known)))
    if not spans:
        return data
    tokens = Ranges(match.span() for match in _TOKEN.finditer(data))
    pieces: list[bytes] = []
    done = 0
    for span in spans:
        if not tokens.covers(span.start, span.end):
            pieces += (data[done : span.start], b"<secret:%s>" % span.name.encode())
            done = span.end
    return b"".join((*pieces, data[done:]))


def _across_colours(data: bytes, known: KnownValues) -> Iterator[Span]:
    """Values that a terminal's codes cut: what highlights numbers and paths does that."""
    pieces: list[bytes] = []
    cuts: list[int] = []  # where a code was, counted in what is left
    removed = [0]  # how many bytes were taken out up to there
    done = 0
    for match in TERMINAL_CODES.finditer(data):
        pieces.append(data[done : match.start()])
        cuts.append(match.start() - removed[-1])
        removed.append(removed[-1] + len(match[0]))
        done = match.end()
    for span in known.spans(b"".join((*pieces, data[done:]))):
        before = bisect.bisect_right(cuts, span.start)
        within = bisect.bisect_left(cuts, span.end)
        if within > before:
            yield replace(span, start=span.start + removed[before], end=span.end + removed[within])
