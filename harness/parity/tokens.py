"""Which token stands for which value of one run, and how they get into text and JSON.

`Normaliser` is the memory of one side of one run; `harness.parity.normalise` uses
it for whole evidence. The rules are `harness.parity.rules`.
"""

from __future__ import annotations

import fnmatch
import functools
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from harness.model.run import Json
from harness.parity.rules import (
    FIELD_RULES,
    MEASURE_RULE,
    TIME_UNITS,
    FieldRule,
    Shape,
    TextRule,
)
from harness.parity.text_shapes import TextShapes, literals_pattern

__all__ = ["Normaliser", "instant_of", "is_token"]

NEAR_THE_RUN = timedelta(hours=36)  # a day for every zone on earth, and some hours for the run
MAX_REMEMBERED = 200_000
MAX_NAMES = 10_000
MIN_LITERAL = 3
MIN_IDENTIFIER = 8  # shorter ones are words, and stand elsewhere as such

_TOKEN = re.compile(r"<([a-z][a-z-]*)(?::(\d+))?>")
_KEPT_TOKEN = re.compile(r"(<[a-z][a-z-]*(?::\d+)?>)")
_HAS_TIME = re.compile(r"\d[Tt ]\d")
_EPOCH_S = (1_000_000_000, 4_000_000_000)
_TICKS = (1, 1_000, 1_000_000_000)
# Made once: `dict | list` in a call is made again for each of a million values.
_NESTED = (dict, list)
_NUMBER = (int, float)


class Normaliser:
    """Replaces volatile values in text and JSON, and remembers which token stands for which.

    Args:
        volatile: values of this run with the token that stands for each
            ("20260101_000000_0a1b2c3d" -> "<session>").
        around: an instant of the run; a date further than a day and a half from
            it is data and stays. None: every date is taken as volatile.
    """

    def __init__(
        self, volatile: Mapping[str, str] | None = None, *, around: datetime | None = None
    ) -> None:
        self._near = None if around is None else (around - NEAR_THE_RUN, around + NEAR_THE_RUN)
        self._numbers: dict[str, dict[str, int]] = {}
        self._literals: dict[str, str] = {}
        self._literal_pattern: re.Pattern[str] | None = None
        self._shapes: TextShapes | None = None
        self._seen: dict[str, str] = {}
        for value, token in (volatile or {}).items():
            self.declare(value, token)

    def declare(self, value: str, token: str) -> None:
        """Makes `value` volatile wherever it stands, under the token `<kind>` or `<kind:n>`."""
        if len(value) < MIN_LITERAL or value in self._literals or _TOKEN.fullmatch(value):
            return
        match = _TOKEN.fullmatch(token)
        kind, number = (match[1], match[2]) if match else (token.strip("<>"), None)
        known = self._numbers.setdefault(kind, {})
        known.setdefault(value, int(number) if number else _next(known))
        self._literals[value] = f"<{kind}:{known[value]}>"
        self._literal_pattern = self._shapes = None
        self._seen.clear()

    @property
    def volatile(self) -> dict[str, str]:
        """Every declared value with its token."""
        return dict(self._literals)

    def discover(self, value: Json) -> None:
        """Declares the identities that stand in fields of `value`, before anything is replaced."""
        if isinstance(value, dict):
            for name, inner in value.items():
                if isinstance(inner, str):
                    rule = _RULES[name]
                    if rule is not None and rule.shape is Shape.IDENTIFIER:
                        self._discover_text(rule, inner)
                elif isinstance(inner, _NESTED):
                    self.discover(inner)
        elif isinstance(value, list):
            for inner in value:
                if isinstance(inner, dict | list):
                    self.discover(inner)

    def _discover_text(self, rule: FieldRule, text: str) -> None:
        if text not in self._literals and _is_identifier(text):
            self.declare(text, f"<{rule.mark}>")

    def text(self, text: str) -> str:
        """The text with tokens in the place of volatile pieces."""
        if len(text) < MIN_LITERAL:
            return text
        seen = self._seen.get(text)
        if seen is None:
            if len(self._seen) >= MAX_REMEMBERED:
                self._seen.clear()
            if self._shapes is None:
                self._shapes = TextShapes(self._literals)
            nothing = "<" not in text and not self._shapes.can_hold(text)
            seen = self._seen[text] = text if nothing else self._replace(text)
        return seen

    def json(self, value: Json) -> Json:
        """The value with tokens in the place of volatile fields and pieces of text."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return self.fields(value)
        if isinstance(value, list):
            return [self.json(inner) for inner in value]
        return value

    def fields(self, fields: Mapping[str, Json]) -> dict[str, Json]:
        """One object; a measurement of time loses its value, too."""
        normal: dict[str, Json] = {}
        seen = self._seen
        for name, value in fields.items():
            rule = _RULES[name]
            if rule is not None:
                token = self._field_token(rule, value)
                if token is not None:
                    normal[name] = token
                    continue
            if isinstance(value, str):
                normal[name] = seen[value] if value in seen else self.text(value)
            elif isinstance(value, _NESTED):
                normal[name] = self.json(value)
            else:
                normal[name] = value
        if "value" in fields and _measures_time(fields) and _is_duration(fields["value"]):
            normal["value"] = f"<{MEASURE_RULE.mark}>"
        return normal

    def _field_token(self, rule: FieldRule, value: Json) -> str | None:
        shape = rule.shape
        if shape is Shape.IDENTIFIER:
            return self._literals.get(value) if isinstance(value, str) else None
        if shape is Shape.INSTANT:
            fits = self._is_near(instant_of(value))
        elif shape is Shape.DURATION:
            fits = _is_duration(value)
        else:
            fits = isinstance(value, int) and not isinstance(value, bool) and value > 0
        if not fits:
            return None
        if not rule.keeps_identity:
            if shape is not Shape.INSTANT or (value.__class__ is str and value[-6:] == "+00:00"):
                return f"<{rule.mark}>"
            return f"<{_form_of(value)}{rule.mark}>"
        return self._literals.get(str(value)) or self._numbered(rule.mark, str(value))

    def _is_near(self, instant: datetime | None) -> bool:
        if instant is None:
            return False
        return self._near is None or self._near[0] <= instant <= self._near[1]

    def _numbered(self, kind: str, value: str) -> str:
        known = self._numbers.setdefault(kind, {})
        key = value.lower() if kind in {"ulid", "uuid"} else value
        known.setdefault(key, _next(known))
        return f"<{kind}:{known[key]}>"

    def _replace(self, text: str) -> str:
        """Until nothing more is found: a token may lay bare what stood too close to a value."""
        while True:
            if "<" not in text:
                replaced = self._replace_piece(text)
            else:
                pieces = _KEPT_TOKEN.split(text)
                # Every second piece is a token that stands already; no rule may look into it.
                pieces[::2] = [self._replace_piece(piece) if piece else "" for piece in pieces[::2]]
                replaced = "".join(pieces)
            if replaced == text:
                return text
            text = replaced

    def _replace_piece(self, text: str) -> str:
        if self._shapes is None:
            self._shapes = TextShapes(self._literals)
        literal, rules = self._shapes.of(text)
        if literal:
            if self._literal_pattern is None:
                self._literal_pattern = literals_pattern(self._literals)
            text = self._literal_pattern.sub(lambda match: self._literals[match[0]], text)
        for rule in rules:
            text = rule.pattern.sub(functools.partial(self._substitute, rule), text)
        return text

    def _substitute(self, rule: TextRule, match: re.Match[str]) -> str:
        group = "value" if "value" in match.re.groupindex else 0
        value = match[group]
        if rule.is_instant and not self._is_near(instant_of(value)):
            return match[0]
        token = self._numbered(rule.mark, value) if rule.keeps_identity else f"<{rule.mark}>"
        start, end = match.start(group) - match.start(), match.end(group) - match.start()
        return match[0][:start] + token + match[0][end:]


def _form_of(value: Json) -> str:
    """How an instant is written, where it is not as text in UTC: that is no matter of the clock."""
    if isinstance(value, str):
        if value[-6:] == "+00:00" or value[-1:] in "Zz":
            return ""
        instant = _parsed_instant(value)
        if instant is None or instant.tzinfo is None:
            return "zoneless-"
        return "" if not instant.utcoffset() else "zoned-"
    ticks = next((t for t in _TICKS if isinstance(value, _NUMBER) and value / t <= _EPOCH_S[1]), 0)
    return {1: "unix-", 1_000: "unix-ms-"}.get(ticks, "unix-ns-")


def _next(known: Mapping[str, int]) -> int:
    return max(known.values(), default=0) + 1


class _RuleByName(dict[str, FieldRule | None]):
    """The rule for a field's name, worked out once for each name."""

    def __missing__(self, name: str) -> FieldRule | None:
        if len(self) >= MAX_NAMES:
            self.clear()
        lower = name.lower()
        rule = next(
            (
                rule
                for rule in FIELD_RULES
                if any(fnmatch.fnmatchcase(lower, pattern) for pattern in rule.fields)
            ),
            None,
        )
        self[name] = rule
        return rule


_RULES = _RuleByName()


def _measures_time(fields: Mapping[str, Json]) -> bool:
    name = fields.get("metric", fields.get("name"))
    return isinstance(name, str) and (
        fields.get("unit") in TIME_UNITS
        or any(fnmatch.fnmatchcase(name.lower(), pattern) for pattern in MEASURE_RULE.fields)
    )


def _is_duration(value: Json) -> bool:
    return isinstance(value, _NUMBER) and not isinstance(value, bool) and 0 <= value < math.inf


def _is_identifier(value: object) -> bool:
    return (
        isinstance(value, str)
        and len(value) >= MIN_IDENTIFIER
        and any(character.isdigit() for character in value)
        and not _TOKEN.search(value)
    )


def is_token(text: str) -> bool:
    """Whether the text is a token and nothing else, such as `<session:1>`."""
    return _TOKEN.fullmatch(text) is not None


def instant_of(value: object) -> datetime | None:
    """The instant that ISO 8601 text or a Unix time (s, ms, ns) stands for; None for all else."""
    if isinstance(value, str):
        return _instant_of_text(value)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    for ticks in _TICKS:
        if _EPOCH_S[0] <= value / ticks <= _EPOCH_S[1]:
            return datetime.fromtimestamp(value / ticks, UTC)
    return None


def _instant_of_text(text: str) -> datetime | None:
    instant = _parsed_instant(text)
    return instant if instant is None or instant.tzinfo else instant.replace(tzinfo=UTC)


def _parsed_instant(text: str) -> datetime | None:
    """The instant as it is written, with its own zone or none."""
    if text[10:11] == "T" and text[-6:-5] == "+":  # as Python writes it: the quick way
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            return None
    if not _HAS_TIME.search(text):
        return None
    try:
        if text[:3].isalpha():  # as RFC 9110 and asctime write it
            return parsedate_to_datetime(text)
        plain = text[:10].replace("/", "-") + text[10:]
        return datetime.fromisoformat(plain.upper().replace(",", "."))
    except ValueError:
        return None
