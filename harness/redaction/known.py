"""Known values: the search for secrets whose values we have, in every encoding at once.

One automaton holds all forms of all values, so that the time of a search does not
depend on how many there are. A value that is short or an ordinary word would be
found everywhere; it counts only where its surroundings say that it is a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from ahocorasick_rs import BytesAhoCorasick, Implementation, MatchKind

from harness.redaction.encodings import MIN_FORM_BYTES, forms
from harness.secret_values import Secret

__all__ = ["Half", "KnownValues", "Sighting", "Span", "Strength", "strength"]

_COMMON_WORDS = frozenset(
    {
        *("admin", "anonymous", "api-key", "api_key", "apikey", "changeit", "changeme", "database"),
        *("default", "demo", "development", "disabled", "docker", "dummy", "dummy-key", "e2b"),
        *("enabled", "example", "fake", "fake-key", "false", "foobar", "guest"),
        *("letmein", "local", "localhost", "master", "mysql", "nobody", "none", "null", "osiris"),
        *("passw0rd", "password", "password1", "password123", "postgres", "postgresql"),
        *("production", "public", "qwerty", "random", "redacted", "required", "root", "sample"),
        *("sandbox", "secret", "staging", "string", "supabase", "system", "test", "test-key"),
        *("test_key", "testing", "testkey", "token", "true", "undefined", "unknown", "user"),
        *("username", "value", "welcome"),
    }
)
_PLACEHOLDER = re.compile(
    r"""(?ix) ^(?: [*x.•#_-]+ | <[^<>]*> | \$\{.*\} | \$\w+ | \{\{.*\}\} | %\w+%
    | your[-_ ].* | .*[-_ ]here | replace[-_ ]?me.* | (?:insert|put|set|enter)[-_ ].* )$"""
)
_DIGITS_MIN = 9
_CHARACTERS_MIN = 3  # "ababab" is no secret
# The automaton holds the beginnings alone; a whole form is compared where one is found. That
# keeps 40 secrets in all encodings under 100 MiB.
_BEGINNING_BYTES = 24
# A value that two log records share: one half of it is whole. Shorter halves are everywhere.
_HALF_MIN_BYTES = 4
_SPLIT_ENCODINGS = frozenset({"plain", "json", "xml", "url"})
_LINE_BREAKS = b"\r\n"


class Strength(StrEnum):
    """How a value can be searched for."""

    STRONG = "strong"
    WEAK = "weak"
    PLACEHOLDER = "placeholder"


def strength(value: str) -> Strength:
    """How a value can be searched for.

    WEAK: under six characters, digits alone that could be a count or a port, or an
    ordinary word. PLACEHOLDER: stands for a value (`your-api-key-here`, `***`).
    """
    if _PLACEHOLDER.match(value):
        return Strength.PLACEHOLDER
    short = len(value.encode("utf-8", "surrogateescape")) < MIN_FORM_BYTES
    if short or (value.isdigit() and len(value) < _DIGITS_MIN) or len(set(value)) < _CHARACTERS_MIN:
        return Strength.WEAK
    return Strength.WEAK if value.lower() in _COMMON_WORDS else Strength.STRONG


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Where a value stands.

    Attributes:
        start: first byte.
        end: the byte after the last one.
        name: the secret's name.
        encoding: how it is written there.
        value: the secret's own bytes; never shown.
    """

    start: int
    end: int
    name: str
    encoding: str
    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Half:
    """One half of a value, which the other half may be near to.

    Attributes:
        start: where it stands.
        name: the secret's name.
        encoding: how it is written there.
        form: the whole of it, written so; never shown.
        second: it is the second half.
        value: the secret's own bytes; never shown.
    """

    start: int
    name: str
    encoding: str
    form: bytes = field(repr=False)
    second: bool = False
    value: bytes = field(repr=False, default=b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What one pass over bytes without line breaks has met.

    Attributes:
        spans: where values stand.
        halves: where halves of values stand, also those of whole ones.
        marks: where one of the marks stands that the caller asked for, and which.
    """

    spans: list[Span]
    halves: list[Half]
    marks: list[tuple[int, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Needle:
    name: str
    encoding: str
    data: bytes = field(repr=False)
    value: bytes = field(repr=False)
    skip: int = 0  # bytes of surroundings before the value
    bounded: bool = False  # the value must end where the word ends


class KnownValues:
    """Finds known values in bytes.

    Args:
        secrets: the values; where two are equal, the first one's name counts.
        marks: further bytes that `sight` tells the places of, whatever they mean.

    Attributes:
        strong: the values that are looked for everywhere.
        weak: the names of those that count beside their name only.
        placeholders: the names of those that are not looked for.
        longest_bytes: the length of the longest thing that is looked for.
        longest_multiline_bytes: the same of those with a line break before their end; 0 for none.
    """

    def __init__(self, secrets: Iterable[Secret], *, marks: Iterable[bytes] = ()) -> None:
        self.weak: tuple[str, ...] = ()
        self.placeholders: tuple[str, ...] = ()
        self.strong: tuple[Secret, ...] = ()
        needles: dict[bytes, _Needle] = {}
        for secret in secrets:
            for needle in self._needles(secret):
                needles.setdefault(needle.data, needle)
        self.longest_bytes = max(map(len, needles), default=0)
        self.longest_multiline_bytes = max(
            (len(data) for data in needles if b"\n" in data[:-1]), default=0
        )
        beginnings: dict[bytes, list[_Needle]] = {}
        for needle in needles.values():
            beginnings.setdefault(needle.data[:_BEGINNING_BYTES], []).append(needle)
        self._table = tuple(beginnings.values())
        self._beginnings = tuple(beginnings)
        self._automaton: BytesAhoCorasick | None = None
        self._marks = tuple(marks)
        self._joined: _Joined | None = None

    def spans(self, data: bytes) -> list[Span]:
        """Where values stand, in order; spans that overlap are one, named after the longest."""
        if self._marks and not any(byte in data for byte in _LINE_BREAKS):
            return self.sight(data).spans  # one automaton is enough for who searches
        if self._automaton is None:
            self._automaton = _automaton(self._beginnings)
        found: list[Span] = []
        for index, start, _ in self._automaton.find_matches_as_indexes(data, overlapping=True):
            found += _whole(self._table[index], data, start)
        return _united(found)

    def sight(self, joined: bytes) -> Sighting:
        """What stands in bytes whose line breaks were taken out: one pass for everything.

        A form that holds a line break itself is looked for without it.
        """
        if self._joined is None:  # the redaction never asks for it
            self._joined = _Joined.of([n for ns in self._table for n in ns], self._marks)
        return self._joined.sight(joined)

    def _needles(self, secret: Secret) -> list[_Needle]:
        value = secret.reveal()
        kind = strength(value) if value else Strength.PLACEHOLDER
        if kind is Strength.PLACEHOLDER:
            self.placeholders += (secret.name,)
            return []
        if kind is Strength.WEAK:
            self.weak += (secret.name,)
            return _in_context(secret)
        self.strong += (secret,)
        raw = value.encode("utf-8", "surrogateescape")
        return [
            _Needle(name=secret.name, encoding=form.encoding, data=form.data, value=raw)
            for form in forms(value)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Joined:
    """The automaton for bytes without line breaks: beginnings, halves and marks together."""

    automaton: BytesAhoCorasick
    needles: tuple[tuple[_Needle, ...], ...]
    halves: tuple[tuple[tuple[_Needle, bool], ...], ...]
    marks: dict[int, bytes]

    @classmethod
    def of(cls, needles: Iterable[_Needle], marks: Iterable[bytes]) -> _Joined:
        beginnings: dict[bytes, list[_Needle]] = {}
        halves: dict[bytes, list[tuple[_Needle, bool]]] = {}
        for whole in needles:
            needle = replace(whole, data=whole.data.translate(None, _LINE_BREAKS))
            if len(needle.data) < MIN_FORM_BYTES:
                continue
            beginnings.setdefault(needle.data[:_BEGINNING_BYTES], []).append(needle)
            middle = len(needle.data) // 2
            if middle < _HALF_MIN_BYTES or needle.skip or needle.encoding not in _SPLIT_ENCODINGS:
                continue
            first, second = needle.data[:middle], needle.data[middle:]
            halves.setdefault(first[:_BEGINNING_BYTES], []).append((needle, False))
            halves.setdefault(second[:_BEGINNING_BYTES], []).append((needle, True))
        marks = frozenset(marks)
        table = {**dict.fromkeys(beginnings), **dict.fromkeys(halves), **dict.fromkeys(marks)}
        return cls(
            automaton=_automaton(table),
            needles=tuple(tuple(beginnings.get(data, ())) for data in table),
            halves=tuple(tuple(halves.get(data, ())) for data in table),
            marks={index: data for index, data in enumerate(table) if data in marks},
        )

    def sight(self, data: bytes) -> Sighting:
        spans: list[Span] = []
        halves: list[Half] = []
        marks: list[tuple[int, bytes]] = []
        for index, start, _ in self.automaton.find_matches_as_indexes(data, overlapping=True):
            if index in self.marks:
                marks.append((start, self.marks[index]))
            spans += _whole(self.needles[index], data, start)
            halves += _half(self.halves[index], data, start)
        return Sighting(spans=_united(spans), halves=halves, marks=marks)


def _automaton(beginnings: Iterable[bytes]) -> BytesAhoCorasick:
    return BytesAhoCorasick(
        list(beginnings), matchkind=MatchKind.Standard, implementation=Implementation.DFA
    )


def _whole(needles: Iterable[_Needle], data: bytes, start: int) -> list[Span]:
    found = []
    for needle in needles:
        end = start + len(needle.data)
        if not data.startswith(needle.data, start):
            continue
        if needle.bounded and _is_word(data[end : end + 1]):
            continue
        found.append(
            Span(
                start=start + needle.skip,
                end=end,
                name=needle.name,
                encoding=needle.encoding,
                value=needle.value,
            )
        )
    return found


def _half(halves: Iterable[tuple[_Needle, bool]], data: bytes, start: int) -> list[Half]:
    found = []
    for needle, second in halves:
        middle = len(needle.data) // 2
        half = needle.data[middle:] if second else needle.data[:middle]
        if data.startswith(half, start):
            found.append(
                Half(
                    start=start,
                    name=needle.name,
                    encoding=needle.encoding,
                    form=needle.data,
                    second=second,
                    value=needle.value,
                )
            )
    return found


def _in_context(secret: Secret) -> list[_Needle]:
    """A weak value where its own name, a password field or a connection string precedes it."""
    value = secret.reveal().encode("utf-8", "surrogateescape")
    names = dict.fromkeys((secret.name, secret.name.lower(), "password", "PASSWORD", "Password"))
    needles = []
    for name in map(str.encode, names):
        for form in (
            b"%s=",
            b"%s='",
            b'%s="',
            b"%s: ",
            b"%s: '",
            b'%s: "',
            b'"%s": "',
            b'"%s":"',
            b"'%s': '",
            b'\\"%s\\": \\"',
        ):
            before = form % name
            needles.append(
                _Needle(
                    name=secret.name,
                    encoding="plain",
                    data=before + value,
                    value=value,
                    skip=len(before),
                    bounded=True,
                )
            )
    return needles


def _is_word(following: bytes) -> bool:
    return following.isalnum() or following == b"_"


def _united(spans: list[Span]) -> list[Span]:
    united: list[Span] = []
    longest = 0
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if not united or span.start >= united[-1].end:
            united.append(span)
            longest = span.end - span.start
            continue
        last = united[-1]
        named = span if span.end - span.start > longest else last
        longest = max(longest, span.end - span.start)
        united[-1] = replace(named, start=last.start, end=max(last.end, span.end))
    return united
