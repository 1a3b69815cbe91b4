"""What gives itself away by its form: masked in what is written, detected in what is scanned.

A connection string's credentials, and everything that a rule of `pattern_rules` names.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from harness.redaction.connection_strings import credential_spans, redact_connection_strings
from harness.redaction.matcher import Matcher
from harness.redaction.pattern_rules import ASSIGNED, MAX_PATTERN_BYTES, PATTERNS, Pattern
from harness.redaction.ranges import Ranges
from harness.redaction.strength import Strength, strength

__all__ = ["CONNECTION_STRING", "FULL_OF_EXAMPLES", "detected", "redact_patterns"]

CONNECTION_STRING = "connection-string"
# What sources and manuals are full of: there it is left to the detectors with a baseline.
FULL_OF_EXAMPLES = frozenset({ASSIGNED, CONNECTION_STRING})
_KEY_BLOCK = re.compile(rb"-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY")
# Below it a value is made by hand: "e2b_0000…", "sk-ant-api03-xxxx…".
_DISTINCT_MIN = 10
# A value in a field is drawn by lot, not a word, a name in a program or a path.
_DRAWN_MIN_BYTES = 8
_BITS_MIN = 2.8  # of entropy a character
_LETTER, _DIGIT = re.compile(rb"[A-Za-z]"), re.compile(rb"[0-9]")
_OF_A_PROGRAM = re.compile(
    rb"[A-Za-z_][\w.]*[(\[].*|[\w.-]*/[\w./-]*|.*(?:secret:|\*\*\*|\$\{|\{\{|://).*"
)
_SAMPLE = re.compile(rb"EXAMPLE|1234567890|0123456789abcdef")
_BY_HAND = re.compile(rb"(?i)example|123456|abcdef")
_PAD = b"\"'{}"


class _Anchors:
    """Finds the lines that can hold a match, so that the others cost one pass together."""

    def __init__(self, patterns: tuple[Pattern, ...]) -> None:
        self._patterns = patterns
        anchors = [pattern.anchor for pattern in patterns]
        self._matcher = Matcher([*anchors, b"@"], caseless=True)  # that of connection strings

    def regions(self, data: bytes) -> Iterator[tuple[int, int, tuple[Pattern, ...]]]:
        """Start and end of runs of such lines, of a very long line only the surroundings.

        With each the patterns that can have a match there, in their order.
        """
        start = end = 0
        numbers: set[int] = set()
        for hit, number in self._matcher.ends(data):
            if hit <= end:
                numbers.add(number)
                continue
            low = max(data.rfind(b"\n", 0, hit) + 1, hit - MAX_PATTERN_BYTES)
            newline = data.find(b"\n", hit, hit + MAX_PATTERN_BYTES)
            high = newline + 1 if newline >= 0 else min(len(data), hit + MAX_PATTERN_BYTES)
            if _KEY_BLOCK.search(data, low, high):
                high = min(len(data), high + MAX_PATTERN_BYTES)
            if low > end:
                if end > start:
                    yield start, end, self._of(numbers)
                start, numbers = low, set()
            numbers.add(number)
            end = max(end, high)
        if end > start:
            yield start, end, self._of(numbers)

    def _of(self, numbers: set[int]) -> tuple[Pattern, ...]:
        return tuple(self._patterns[n] for n in sorted(numbers) if n < len(self._patterns))


_ANCHORS = _Anchors(PATTERNS)


def redact_patterns(data: bytes) -> bytes:
    """The same bytes with every connection string and every known form of secret masked."""
    pieces: list[bytes] = []
    done = 0
    for start, end, patterns in _ANCHORS.regions(data):
        region = redact_connection_strings(data[start:end])
        for pattern in patterns:
            region = pattern.redacted(region)
        pieces += (data[done:start], region)
        done = end
    return b"".join((*pieces, data[done:])) if pieces else data


def detected(data: bytes) -> Iterator[tuple[str, int, int]]:
    """The secrets that a vendor's format, a connection string or a field's name gives away.

    Yields:
        Kind, start and end.
    """
    for start, end, patterns in _ANCHORS.regions(data):
        region = data[start:end]
        taken = Ranges()
        found = [(CONNECTION_STRING, *span) for span in credential_spans(region)]
        found += (span for pattern in patterns for span in _matches(pattern, region))
        for kind, low, high in found:
            if not taken.overlaps(low, high):
                taken.add(low, high)
                yield kind, start + low, start + high


def _matches(pattern: Pattern, region: bytes) -> Iterator[tuple[str, int, int]]:
    group = "secret" if "secret" in pattern.expression.groupindex else 0
    for match in pattern.expression.finditer(region):
        secret = match[group]
        if pattern.kind:
            if _looks_drawn(secret):
                yield pattern.kind, *match.span(group)
        elif _made_by_lot(secret):
            yield pattern.name, *match.span(group)


def _made_by_lot(token: bytes) -> bool:
    (_, most), *_ = Counter(token).most_common(1)
    return len(set(token)) >= _DISTINCT_MIN and 2 * most <= len(token) and not _SAMPLE.search(token)


def _looks_drawn(value: bytes) -> bool:
    value = value.strip(_PAD)
    if len(value) < _DRAWN_MIN_BYTES or _OF_A_PROGRAM.fullmatch(value):
        return False
    if not (_LETTER.search(value) and _DIGIT.search(value)):
        return False
    counts = Counter(value).values()
    bits = -sum(n / len(value) * math.log2(n / len(value)) for n in counts)
    strong = strength(value.decode("utf-8", "replace")) is Strength.STRONG
    return bits >= _BITS_MIN and strong and not _BY_HAND.search(value)
