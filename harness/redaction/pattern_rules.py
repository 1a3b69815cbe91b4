"""Rules for secrets that are known by their form alone: keys, tokens, headers, password fields.

Each rule is of one shape: how it begins (so that text without it costs next to
nothing), an expression, and the part of it that is the secret. Vendors' formats are
a leak wherever they stand; a field's value only where it looks drawn by lot.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.redaction.matcher import literal
from harness.redaction.vendor_tokens import VENDOR_TOKENS

__all__ = ["ASSIGNED", "MAX_PATTERN_BYTES", "PATTERNS", "Pattern"]

MAX_PATTERN_BYTES = 16 * 1024
ASSIGNED = "assigned-secret"  # the kind of what stands in a field with a secret's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One form of secret.

    Attributes:
        name: the kind of a finding, and the name in `<secret:name>`.
        anchor: an expression (see `Matcher`) for a part of every match, letters in both cases.
        expression: its group `secret` is what goes; the whole match where it has none.
        kind: of a finding, where it is not the name; it is one if it looks drawn by lot.
        mask: stands for the secret; made from the name where left out.
    """

    name: str
    anchor: bytes
    expression: re.Pattern[bytes]
    kind: str = ""
    mask: bytes = b""

    def redacted(self, data: bytes) -> bytes:
        """The same bytes with the secrets masked."""
        mask = self.mask or b"<secret:" + self.name.encode() + b">"
        group = "secret" if "secret" in self.expression.groupindex else 0

        def replace(match: re.Match[bytes]) -> bytes:
            start, end = match.start(group) - match.start(), match.end(group) - match.start()
            return match[0][:start] + mask + match[0][end:]

        return self.expression.sub(replace, data)


def _words(*words: str) -> bytes:
    return b"(?:" + b"|".join(word.encode() for word in words) + b")"


_START = rb"(?:(?<![A-Za-z0-9_])|(?<=\\[nrt]))"
_FIELD_START = rb"(?:(?<![A-Za-z])|(?<=\\[nrt]))"
_END = rb"(?![A-Za-z0-9_])"
_FIELD = _words(
    "pass(?:word|wd|phrase)",
    "pwd",
    "(?:client|app|shared)[_-]?secret",
    "secret",
    "(?:api|account|private|encryption|signing)[_-]?key",
    "secret[_-]?access[_-]?key",
    "service[_-]?role[_-]?key",
    "(?:access|auth|bearer|refresh|session)[_-]?token",
    "shared[_-]?access[_-]?(?:key|signature)",
    "x-amz-(?:signature|security-token)",
)
# The last letters of such a field with what must follow them; alone they are in every second line.
_ENDINGS = (b"word", b"wd", b"phrase", b"secret", b"key", b"token", b"signature")
_ASSIGNED = tuple(end + sign for end in _ENDINGS for sign in (b"=", b" =", b"\t="))
_IN_QUOTES = tuple(end + sign for end in _ENDINGS for sign in (b'":', b"':", b'" :', b"' :", b"\\"))
_WITH_COLON = tuple(end + b":" for end in _ENDINGS)
_QUERY_WORDS = (b"token", b"key", b"sig", b"signature", b"auth", b"code", b"credential")


def _any(literals: tuple[bytes, ...]) -> bytes:
    return b"(?:" + b"|".join(map(literal, literals)) + b")"


_SEPARATOR = rb"\\?[\"']?[ \t]{0,8}[:=,][ \t]{0,8}\\?[\"']?"
# What stands for a value, or refers to one, stays as it is.
_REAL = rb"(?!\*\*\*|<secret:|\$[{A-Za-z_(]|\{\{|%[({]|None\b|null\b|true\b|false\b|undefined\b)"

PATTERNS: tuple[Pattern, ...] = (
    Pattern(
        name="private-key",
        anchor=b"private key",
        expression=re.compile(
            rb"-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----"
            rb"(?=[\s\\nr]{0,8}(?:Proc-Type|Version|Comment|[A-Za-z0-9+/=]{16}))"
            rb"(?:(?!-----END)[\s\S]){20,16000}?"
            rb"(?:-----END [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----"
            rb"|(?=[^\sA-Za-z0-9+/=:,.\\\-])|\Z)"
        ),
    ),
    Pattern(
        name="jwt",
        anchor=b"eyj[a-z0-9_-]{8}",
        expression=re.compile(
            _START + rb"eyJ[A-Za-z0-9_-]{8,4096}\.eyJ[A-Za-z0-9_-]{8,8192}\.[A-Za-z0-9_-]{0,2048}"
        ),
    ),
    *(
        Pattern(name=name, anchor=anchor, expression=re.compile(_START + b"(?:" + token + b")"))
        for name, (anchor, token) in VENDOR_TOKENS.items()
    ),
    Pattern(
        name="bearer",
        anchor=b"authorization",
        expression=re.compile(
            rb"(?i:authorization"
            + _SEPARATOR
            + rb"(?:bearer|basic|token|negotiate)[ \t]{1,8})"
            + _REAL
            + rb"(?P<secret>[A-Za-z0-9._~+/\-]{1,8192}=*)"
        ),
        kind=ASSIGNED,
    ),
    Pattern(
        name="bearer",
        anchor=rb"(?:bearer|basic)[ \t]",
        expression=re.compile(
            _START
            + rb"(?i:bearer|basic)[ \t]{1,8}"
            + rb"(?P<secret>(?=[A-Za-z._~+/\-]{0,512}[0-9])[A-Za-z0-9._~+/\-]{16,8192}=*)"
        ),
        kind=ASSIGNED,
    ),
    Pattern(
        name="header",
        anchor=b"x-(?:api-key|access-token|auth-token)|apikey",
        expression=re.compile(
            rb"(?i:(?:x-(?:api-key|access-token|auth-token)|apikey)"
            + _SEPARATOR
            + rb")"
            + _REAL
            + rb"(?P<secret>[^\s\"',;\\)\]}<>]{4,4096})"
        ),
        kind=ASSIGNED,
    ),
    # `password=…` in a query, a DSN, ODBC, an environment; also quoted or in braces.
    Pattern(
        name="field",
        anchor=_any(_ASSIGNED),
        expression=re.compile(
            rb"(?i:"
            + _FIELD_START
            + _FIELD
            + rb")[ \t]?=[ \t]{0,4}"
            + _REAL
            + rb"(?!(?<=PWD=)/)"
            + rb"(?P<secret>\{(?:[^}\n]|\}\}){1,512}\}|\"[^\"\n]{1,512}\"|'(?:[^'\\\n]|\\.){1,512}'"
            + rb"|[^\s&;,\"'<>)\]}\\]{1,1024})"
        ),
        kind=ASSIGNED,
        mask=b"***",
    ),
    Pattern(
        name="query",
        anchor=b"[?&][a-z-]{0,6}" + _any(_QUERY_WORDS) + b"=",
        expression=re.compile(
            rb"(?i:[?&](?:x-amz-)?(?:"
            + b"|".join(_QUERY_WORDS)
            + rb")=)"
            + _REAL
            + rb"(?P<secret>[^\s&;#\"'<>)\]}\\]{8,4096})"
        ),
        kind=ASSIGNED,
        mask=b"***",
    ),
    # "password": "…" in JSON, also escaped, and in Python's repr.
    Pattern(
        name="field",
        anchor=_any(_IN_QUOTES),
        expression=re.compile(
            rb"(?i:"
            + _FIELD_START
            + _FIELD
            + rb")(?P<quote>\\{0,3}[\"']) ?:[ \t]{0,4}(?P=quote)"
            + _REAL
            + rb"(?P<secret>(?:(?!(?P=quote))[^\n]){1,1024}?)(?=(?P=quote))"
        ),
        kind=ASSIGNED,
        mask=b"***",
    ),
    # `password: …` in YAML and in messages; a word of prose stays.
    Pattern(
        name="field",
        anchor=_any(_WITH_COLON),
        expression=re.compile(
            rb"(?i:"
            + _FIELD_START
            + _FIELD
            + rb"):[ \t]{1,8}"
            + _REAL
            + rb"(?P<secret>\"[^\"\n]{1,512}\"|'[^'\n]{1,512}'"
            + rb"|(?=[^\s\d!@#$%^&*+=/]{0,64}[\d!@#$%^&*+=/])[^\s,;\"'<>\\]{6,512})"
        ),
        kind=ASSIGNED,
        mask=b"***",
    ),
)
