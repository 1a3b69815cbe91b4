"""Puts tokens in the place of values that differ from run to run by their nature.

A token keeps identity: the first session id that a run shows is `<session:1>`
wherever it stands, another one is `<session:2>`, so that two swapped references
still show. No line and no field is ever dropped. What is volatile is declared in
`harness.parity.rules` and, for one run, in `Evidence.volatile`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import TypeVar, overload

from harness.model.evidence import Evidence, Record
from harness.model.run import Json
from harness.parity.collector import uncollected
from harness.parity.tokens import Normaliser, instant_of

__all__ = ["NormalisedEvidence", "normalise_evidence", "normalize"]

T = TypeVar("T")

JITTER = timedelta(seconds=1)
SET_BACK = "<set-back-time>"
_TIMES = ("ts", "timestamp")  # the first that a record has


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalisedEvidence:
    """Evidence after normalisation, with what normalises its files when they are read.

    Attributes:
        evidence: the evidence; files stay where and as they are.
        normaliser: knows this side's tokens.
    """

    evidence: Evidence
    normaliser: Normaliser


def normalise_evidence(evidence: Evidence) -> NormalisedEvidence:
    """The evidence with tokens in result, events, metrics, status and file names."""
    with uncollected():
        return _normalised(evidence)


def _normalised(evidence: Evidence) -> NormalisedEvidence:
    normaliser = Normaliser(evidence.volatile, around=_around(evidence))
    for record in _records(evidence):
        fields = record.fields
        normaliser.discover(fields if isinstance(fields, dict) else dict(fields))
    if evidence.status is not None:
        normaliser.discover(dict(evidence.status))
    result = evidence.result
    normal = replace(
        evidence,
        result=replace(
            result,
            error_message=_optional(normaliser, result.error_message),
            step_results=normaliser.json(result.step_results),
            stdout=_lines(normaliser, result.stdout),
            stderr=_lines(normaliser, result.stderr),
        ),
        events=_normal_records(normaliser, evidence.events),
        metrics=_normal_records(normaliser, evidence.metrics),
        status=None if evidence.status is None else normaliser.fields(evidence.status),
        log=_normal_records(normaliser, evidence.log),
        wire=None if evidence.wire is None else _normal_wire(normaliser, evidence.wire),
        files=tuple(replace(file, path=normaliser.text(file.path)) for file in evidence.files),
        volatile=normaliser.volatile,
        broken=_optional(normaliser, evidence.broken),
    )
    return NormalisedEvidence(evidence=normal, normaliser=normaliser)


@overload
def normalize(value: Evidence, *, volatile: Mapping[str, str] | None = None) -> Evidence: ...
@overload
def normalize(value: str, *, volatile: Mapping[str, str] | None = None) -> str: ...
@overload
def normalize(value: T, *, volatile: Mapping[str, str] | None = None) -> T | Json: ...
def normalize(value: object, *, volatile: Mapping[str, str] | None = None) -> object:
    """The value with tokens in the place of what differs from run to run by nature.

    Two runs of one program compare equal after it, unless they really differ:
    `assert normalize(local_result) == normalize(e2b_result)`.

    Args:
        value: evidence, text (a log), any JSON value, or a dataclass such as the
            product's own result; a dataclass comes back as an object of its
            fields, paths and dates as text, and bytes stay as they are.
        volatile: further values of this run, with the token that stands for each.

    Returns:
        Evidence for evidence, text for text, else JSON. Normalising twice changes nothing.
    """
    if isinstance(value, Evidence):
        known = {**(volatile or {}), **(value.volatile or {})}
        return normalise_evidence(replace(value, volatile=known)).evidence
    normaliser = Normaliser(volatile)
    if isinstance(value, str):
        return _lines(normaliser, value)
    plain = _plain(value)
    normaliser.discover(plain)
    return normaliser.json(plain)


def _plain(value: object) -> Json:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: _plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, str | PurePath):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Iterable) and not isinstance(value, bytes | bytearray):
        inner = sorted(value, key=repr) if isinstance(value, set | frozenset) else value
        return [_plain(item) for item in inner]
    return value  # type: ignore[return-value]  # numbers, None, bytes: nothing in them is volatile


def _around(evidence: Evidence) -> datetime | None:
    for record in _records(evidence):
        for name in _TIMES:
            instant = instant_of(record.fields.get(name))
            if instant is not None:
                return instant
    return None


def _records(evidence: Evidence) -> Iterable[Record]:
    yield from evidence.events or ()
    yield from evidence.metrics or ()


def _normal_records(
    normaliser: Normaliser, records: tuple[Record, ...] | None
) -> tuple[Record, ...] | None:
    if records is None:
        return None
    normal = [
        Record(
            line=record.line,
            fields=normaliser.fields(record.fields),
            raw=_optional(normaliser, record.raw),
        )
        for record in records
    ]
    for number, name in _set_back(records, normal):
        fields = {**normal[number].fields, name: SET_BACK}
        normal[number] = replace(normal[number], fields=fields)
    return tuple(normal)


def _set_back(records: Sequence[Record], normal: Sequence[Record]) -> Iterator[tuple[int, str]]:
    """The records whose time lies before that of one that stands before them, and its field.

    Tolerance: a second, for who writes a record may have looked at the clock earlier. A date
    that is data is none of these times.
    """
    latest: datetime | None = None
    text = ""
    for number, record in enumerate(records):
        name = "ts" if "ts" in record.fields else "timestamp"
        value = record.fields.get(name)
        if value is None or value == normal[number].fields[name]:
            continue
        if value.__class__ is str and _is_after(text, str(value)):
            text, latest = str(value), None
            continue
        instant, before = instant_of(value), latest or instant_of(text)
        if instant is None:
            continue
        if before is not None and instant < before - JITTER:
            yield number, name
        elif before is None or instant > before:
            latest, text = instant, str(value)


def _is_after(earlier: str, later: str) -> bool:
    """Whether two instants of one form and one zone stand in order: the usual, and quick."""
    return later >= earlier and later[-6:] == earlier[-6:] and len(later) == len(earlier)


def _normal_wire(normaliser: Normaliser, wire: Mapping[str, Json]) -> dict[str, Json]:
    """Paths are keys there, so that tokens stand in keys, too."""

    def normal(value: Json) -> Json:
        if isinstance(value, dict):
            return {normaliser.text(key): normal(inner) for key, inner in value.items()}
        return normaliser.json(value)

    return {key: normal(value) for key, value in wire.items()}


def _optional(normaliser: Normaliser, text: str | None) -> str | None:
    return None if text is None else normaliser.text(text)


def _lines(normaliser: Normaliser, text: str) -> str:
    return "".join(normaliser.text(line) for line in text.splitlines(keepends=True))
