"""Known values: the search for secrets whose values we have, in every encoding at once.

One matcher holds all forms of all values, so that the time of a search does not
depend on how many there are. A value that is short or an ordinary word would be
found everywhere; it counts only where its surroundings say that it is a secret.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from harness.redaction.encodings import forms
from harness.redaction.matcher import Matcher, literal
from harness.redaction.strength import Strength, strength
from harness.secret_values import Secret

__all__ = ["BEGINNING_BYTES", "KnownValues", "Needle", "Span", "united", "whole"]

# The matcher holds the beginnings alone; a whole form is compared where one is found.
BEGINNING_BYTES = 24


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
class Needle:
    """One form of one value, or a weak value with what must stand before it.

    Attributes:
        name: the secret's name.
        encoding: how it is written.
        data: what is looked for; never shown.
        value: the secret's own bytes; never shown.
        skip: bytes of surroundings before the value.
        bounded: the value must end where the word ends.
    """

    name: str
    encoding: str
    data: bytes = field(repr=False)
    value: bytes = field(repr=False)
    skip: int = 0
    bounded: bool = False


class KnownValues:
    """Finds known values in bytes.

    Args:
        secrets: the values; where two are equal, the first one's name counts.

    Attributes:
        strong: the values that are looked for everywhere.
        weak: the names of those that count beside their name only.
        placeholders: the names of those that are not looked for.
        needles: everything that is looked for, each different.
        longest_bytes: the length of the longest thing that is looked for.
        longest_multiline_bytes: the same of those with a line break before their end; 0 for none.
    """

    def __init__(self, secrets: Iterable[Secret]) -> None:
        self.weak: tuple[str, ...] = ()
        self.placeholders: tuple[str, ...] = ()
        self.strong: tuple[Secret, ...] = ()
        needles: dict[bytes, Needle] = {}
        for secret in secrets:
            for needle in self._needles(secret):
                needles.setdefault(needle.data, needle)
        self.needles = tuple(needles.values())
        self.longest_bytes = max(map(len, needles), default=0)
        self.longest_multiline_bytes = max(
            (len(data) for data in needles if b"\n" in data[:-1]), default=0
        )
        self._beginnings: list[tuple[int, list[Needle]]] = []
        self._matcher: Matcher | None = None

    def spans(self, data: bytes) -> list[Span]:
        """Where values stand, in order; spans that overlap are one, named after the longest."""
        if self._matcher is None:
            table: dict[bytes, list[Needle]] = {}
            for needle in self.needles:
                table.setdefault(needle.data[:BEGINNING_BYTES], []).append(needle)
            self._beginnings = [(len(beginning), needles) for beginning, needles in table.items()]
            self._matcher = Matcher([literal(beginning) for beginning in table])
        found: list[Span] = []
        for end, number in self._matcher.ends(data):
            length, needles = self._beginnings[number]
            found += whole(needles, data, end - length)
        return united(found)

    def _needles(self, secret: Secret) -> list[Needle]:
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
            Needle(name=secret.name, encoding=form.encoding, data=form.data, value=raw)
            for form in forms(value)
        ]


def whole(needles: Iterable[Needle], data: bytes, start: int) -> list[Span]:
    """The needles of which not only the beginning stands at `start`."""
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


def united(spans: Iterable[Span]) -> list[Span]:
    """The spans in order; those that overlap are one, named after the longest."""
    found: list[Span] = []
    longest = 0
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if not found or span.start >= found[-1].end:
            found.append(span)
            longest = span.end - span.start
            continue
        last = found[-1]
        named = span if span.end - span.start > longest else last
        longest = max(longest, span.end - span.start)
        found[-1] = replace(named, start=last.start, end=max(last.end, span.end))
    return found


def _in_context(secret: Secret) -> list[Needle]:
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
                Needle(
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
