"""One raw disagreement between two sides, before it is grouped into a difference.

The comparers speak in deltas. A delta knows the exact place (its site), so that
noise can be learned for just that place, and the general path, in which nothing
varies from pipeline to pipeline, so that one fault is one difference everywhere.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Delta", "Kind", "Order", "shape_of", "shorten", "show", "type_name", "without_digits"]

MAX_SHOWN = 400
MAX_SHAPE = 160

_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_DIGITS = re.compile(r"\d+")
_SPACES = re.compile(r"\s+")


class Kind(StrEnum):
    """How two sides can disagree. MISSING and EXTRA are seen from the local side."""

    VALUE = "value"
    TYPE = "type"
    MISSING = "missing"
    EXTRA = "extra"
    ORDER = "order"
    UNPARSABLE = "unparsable"


class Order(StrEnum):
    """Whether the order of rows, records or elements is part of what is promised."""

    PROMISED = "promised"
    ANY = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """One raw disagreement.

    Attributes:
        path: the general place, such as `events/step_start/fields/driver`.
        site: the exact place, such as `events/step_start[load]#0/fields/driver`.
        kind: how the sides disagree.
        local: the local value as text; None where there is none.
        remote: the remote value as text; None where there is none.
        shape: what tells this fault from another at the same path; holds nothing volatile.
        count: how many rows, cells, lines or records it stands for.
        step: the step that it belongs to; None where it belongs to the whole run.
        position: where in its stream it stands, to order deltas of one kind in time.
        lines: of a text, the local lines (from 0) that it stands for.
    """

    path: str
    site: str
    kind: Kind
    local: str | None = None
    remote: str | None = None
    shape: str = ""
    count: int = 1
    step: str | None = None
    position: int = 0
    lines: tuple[int, ...] = ()


def show(value: object) -> str:
    """A value in few words: JSON, so that text "1" and the number 1 look different."""
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
    else:
        try:
            text = json.dumps(value, ensure_ascii=False, sort_keys=True)
        except TypeError:
            text = repr(value)
    return shorten(text)


def shorten(text: str, limit: int = MAX_SHOWN) -> str:
    """The text, or its two ends with how much was left out between them."""
    if len(text) <= limit:
        return text
    head, tail = limit * 2 // 3, limit // 3
    return f"{text[:head]} […{len(text) - head - tail} more…] {text[-tail:]}"


def shape_of(value: object) -> str:
    """What of a value belongs to a fault's identity.

    Of a text the words of its first line remain, without digits and quoted parts (what
    follows quotes the input: a query, a stack of calls); of a number only that it is
    one; the words true, false and null stand for themselves.
    """
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str):
        first = value.strip().split("\n", 1)[0]
        words = _SPACES.sub(" ", without_digits(_QUOTED.sub("'…'", first))).strip()
        return f"text {words[:MAX_SHAPE]}"
    return type_name(value)


def without_digits(text: str) -> str:
    """The text with one `#` for each number in it."""
    return _DIGITS.sub("#", text)


def type_name(value: object) -> str:
    """The JSON type, with whole and real numbers apart."""
    names: tuple[tuple[type, str], ...] = (
        (bool, "boolean"),
        (int, "integer"),
        (float, "real"),
        (str, "text"),
        (list, "list"),
        (dict, "object"),
    )
    if value is None:
        return "null"
    return next((name for kind, name in names if isinstance(value, kind)), type(value).__name__)
