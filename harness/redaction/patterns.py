"""Secrets that are known by their form alone: keys, tokens, headers, password fields.

Each pattern is a rule of one shape: a literal that must occur (so that text
without one costs next to nothing), an expression, and the part of it that is the
secret. Rules that name a vendor's format also serve the scan as detectors; the
others only redact, because in a log they are right too rarely to call it a leak.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from harness.redaction.connection_strings import credential_spans, redact_connection_strings
from harness.redaction.matcher import Matcher, literal

__all__ = ["DETECTORS", "MAX_PATTERN_BYTES", "PATTERNS", "Pattern", "detected", "redact_patterns"]

MAX_PATTERN_BYTES = 16 * 1024
_DISTINCT_MIN = 10  # Below it a value is made by hand: "e2b_0000…", "AKIAXXXX…".


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One form of secret.

    Attributes:
        name: the kind of a finding, and the name in `<secret:name>`.
        anchors: literals in lower case, one of which is in every match.
        expression: its group `secret` is what goes; the whole match where it has none.
        detects: a match in a log is a leak.
        mask: stands for the secret; made from the name where left out.
    """

    name: str
    anchors: tuple[bytes, ...]
    expression: re.Pattern[bytes]
    detects: bool = True
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


_START = rb"(?<![A-Za-z0-9_])"
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
_SEPARATOR = rb"\\?[\"']?[ \t]{0,8}[:=,][ \t]{0,8}\\?[\"']?"
# What stands for a value, or refers to one, stays as it is.
_REAL = rb"(?!\*\*\*|<secret:|\$[{A-Za-z_(]|\{\{|%[({]|None\b|null\b|true\b|false\b|undefined\b)"

PATTERNS: tuple[Pattern, ...] = (
    Pattern(
        name="private-key",
        anchors=(b"private key",),
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
        anchors=(b"eyj",),
        expression=re.compile(
            _START + rb"eyJ[A-Za-z0-9_-]{8,4096}\.eyJ[A-Za-z0-9_-]{8,8192}\.[A-Za-z0-9_-]{0,2048}"
        ),
    ),
    # Source: e2b 2.45.1, whose client asks for `e2b_` and hexadecimal digits.
    Pattern(
        name="e2b-key",
        anchors=(b"e2b_",),
        expression=re.compile(_START + rb"(?:sk_)?e2b_[0-9a-fA-F]{32,128}" + _END),
    ),
    Pattern(
        name="github-token",
        anchors=(b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"github_pat_"),
        expression=re.compile(
            _START + rb"(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{50,255})"
        ),
    ),
    Pattern(
        name="aws-access-key",
        anchors=(b"akia", b"asia"),
        expression=re.compile(_START + rb"(?:AKIA|ASIA)[A-Z2-7]{16}" + _END),
    ),
    Pattern(
        name="vendor-token",
        anchors=(
            *(b"sk-", b"sk_live_", b"sk_test_", b"rk_live_", b"rk_test_", b"sb_secret_", b"sbp_"),
            *(b"xox", b"aiza", b"glpat-", b"npm_", b"pypi-age", b"sg.", b"hf_", b"dckr_pat_"),
        ),
        expression=re.compile(
            _START
            + _words(
                r"sk-(?:ant-|proj-|or-)?[A-Za-z0-9_-]{32,255}",
                r"[sr]k_(?:live|test)_[A-Za-z0-9]{20,255}",
                r"sb_secret_[A-Za-z0-9_-]{20,255}",
                r"sbp_[0-9a-f]{40}",
                r"xox[abeoprs]-[A-Za-z0-9-]{20,255}",
                r"AIza[A-Za-z0-9_-]{35}",
                r"glpat-[A-Za-z0-9_-]{20,255}",
                r"npm_[A-Za-z0-9]{36}",
                r"pypi-AgE[A-Za-z0-9_-]{50,512}",
                r"SG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,128}",
                r"hf_[A-Za-z0-9]{30,64}",
                r"dckr_pat_[A-Za-z0-9_-]{20,64}",
            )
        ),
    ),
    Pattern(
        name="bearer",
        anchors=(b"authorization",),
        expression=re.compile(
            rb"(?i:authorization"
            + _SEPARATOR
            + rb"(?:bearer|basic|token|negotiate)[ \t]{1,8})"
            + _REAL
            + rb"(?P<secret>[A-Za-z0-9._~+/\-]{1,8192}=*)"
        ),
        detects=False,
    ),
    Pattern(
        name="bearer",
        anchors=(b"bearer ", b"basic ", b"bearer\t", b"basic\t"),
        expression=re.compile(
            _START
            + rb"(?i:bearer|basic)[ \t]{1,8}"
            + rb"(?P<secret>(?=[A-Za-z._~+/\-]{0,512}[0-9])[A-Za-z0-9._~+/\-]{16,8192}=*)"
        ),
        detects=False,
    ),
    Pattern(
        name="header",
        anchors=(b"x-api-key", b"x-access-token", b"x-auth-token", b"apikey"),
        expression=re.compile(
            rb"(?i:(?:x-(?:api-key|access-token|auth-token)|apikey)"
            + _SEPARATOR
            + rb")"
            + _REAL
            + rb"(?P<secret>[^\s\"',;\\)\]}<>]{4,4096})"
        ),
        detects=False,
    ),
    # `password=…` in a query, a DSN, ODBC, an environment; also quoted or in braces.
    Pattern(
        name="field",
        anchors=_ASSIGNED,
        expression=re.compile(
            rb"(?i:(?<![A-Za-z])"
            + _FIELD
            + rb")[ \t]?=[ \t]{0,4}"
            + _REAL
            + rb"(?!(?<=PWD=)/)"
            + rb"(?P<secret>\{(?:[^}\n]|\}\}){1,512}\}|\"[^\"\n]{1,512}\"|'(?:[^'\\\n]|\\.){1,512}'"
            + rb"|[^\s&;,\"'<>)\]}\\]{1,1024})"
        ),
        detects=False,
        mask=b"***",
    ),
    Pattern(
        name="query",
        anchors=tuple(word + b"=" for word in _QUERY_WORDS),
        expression=re.compile(
            rb"(?i:[?&](?:x-amz-)?(?:"
            + b"|".join(_QUERY_WORDS)
            + rb")=)"
            + _REAL
            + rb"(?P<secret>[^\s&;#\"'<>)\]}\\]{8,4096})"
        ),
        detects=False,
        mask=b"***",
    ),
    # "password": "…" in JSON, also escaped, and in Python's repr.
    Pattern(
        name="field",
        anchors=_IN_QUOTES,
        expression=re.compile(
            rb"(?i:(?<![A-Za-z])"
            + _FIELD
            + rb")(?P<quote>\\{0,3}[\"']) ?:[ \t]{0,4}(?P=quote)"
            + _REAL
            + rb"(?P<secret>(?:(?!(?P=quote))[^\n]){1,1024}?)(?=(?P=quote))"
        ),
        detects=False,
        mask=b"***",
    ),
    # `password: …` in YAML and in messages; a word of prose stays.
    Pattern(
        name="field",
        anchors=_WITH_COLON,
        expression=re.compile(
            rb"(?i:(?<![A-Za-z])"
            + _FIELD
            + rb"):[ \t]{1,8}"
            + _REAL
            + rb"(?P<secret>\"[^\"\n]{1,512}\"|'[^'\n]{1,512}'"
            + rb"|(?=[^\s\d!@#$%^&*+=/]{0,64}[\d!@#$%^&*+=/])[^\s,;\"'<>\\]{6,512})"
        ),
        detects=False,
        mask=b"***",
    ),
)

DETECTORS = tuple(pattern for pattern in PATTERNS if pattern.detects)


class _Anchors:
    """Finds the lines that can hold a match, so that the others cost one pass together."""

    def __init__(self, patterns: tuple[Pattern, ...]) -> None:
        anchors = {anchor for pattern in patterns for anchor in pattern.anchors}
        anchors.add(b"@")  # of connection strings
        self._lengths = tuple(map(len, sorted(anchors)))
        self._matcher = Matcher([literal(anchor) for anchor in sorted(anchors)], caseless=True)

    def regions(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Start and end of runs of such lines; of a very long line only the surroundings."""
        start = end = 0
        for after, number in self._matcher.ends(data):
            if after <= end:
                continue
            hit = after - self._lengths[number]
            low = max(data.rfind(b"\n", 0, hit) + 1, hit - MAX_PATTERN_BYTES)
            newline = data.find(b"\n", after, after + MAX_PATTERN_BYTES)
            high = newline + 1 if newline >= 0 else min(len(data), after + MAX_PATTERN_BYTES)
            if _KEY_BLOCK.search(data, low, high):
                high = min(len(data), high + MAX_PATTERN_BYTES)
            if low > end:
                if end > start:
                    yield start, end
                start = low
            end = max(end, high)
        if end > start:
            yield start, end


_KEY_BLOCK = re.compile(rb"-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY")
_OF_ALL = _Anchors(PATTERNS)
_OF_DETECTORS = _Anchors(DETECTORS)


def redact_patterns(data: bytes) -> bytes:
    """The same bytes with every connection string and every known form of secret masked."""
    pieces: list[bytes] = []
    done = 0
    for start, end in _OF_ALL.regions(data):
        pieces += (data[done:start], _redacted(data[start:end]))
        done = end
    return b"".join((*pieces, data[done:])) if pieces else data


def _redacted(region: bytes) -> bytes:
    region = redact_connection_strings(region)
    lower = region.lower()
    for pattern in PATTERNS:
        if any(anchor in lower for anchor in pattern.anchors):
            region = pattern.redacted(region)
    return region


def detected(data: bytes) -> Iterator[tuple[str, int, int]]:
    """The secrets that a vendor's format or a connection string gives away.

    Yields:
        Kind, start and end.
    """
    for start, end in _OF_DETECTORS.regions(data):
        region = data[start:end]
        lower = region.lower()
        for pattern in DETECTORS:
            if any(anchor in lower for anchor in pattern.anchors):
                for match in pattern.expression.finditer(region):
                    if len(set(match[0])) >= _DISTINCT_MIN and b"EXAMPLE" not in match[0]:
                        yield pattern.name, start + match.start(), start + match.end()
        for low, high in credential_spans(region):
            yield "connection-string", start + low, start + high
