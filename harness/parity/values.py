"""Compares two JSON values by path.

Types are compared strictly: 1 is not 1.0 and not true. NaN equals NaN, and -0.0
is not 0.0. Text is compared by code point, without any Unicode normalisation.
The order of an object's keys is not part of its value; the order of a list is,
unless the caller says otherwise. There is no tolerance: a rounded number differs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.model.run import Json
from harness.parity.alignment import align
from harness.parity.delta import Delta, Kind, Order, shape_of, show, type_name

__all__ = ["Place", "canonical", "compare_values", "same_scalar", "segment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a value stands.

    Attributes:
        path: the general path.
        site: the exact one.
        step: the step that it belongs to.
        position: where in its stream it stands.
    """

    path: str
    site: str
    step: str | None = None
    position: int = 0

    def child(self, name: str, exact: str | None = None) -> Place:
        """The place of a part; `exact` is its name in the site where that is more precise."""
        return Place(
            path=f"{self.path}/{name}",
            site=f"{self.site}/{name if exact is None else exact}",
            step=self.step,
            position=self.position,
        )

    def delta(
        self,
        kind: Kind,
        local: str | None = None,
        remote: str | None = None,
        *,
        shape: str = "",
        count: int = 1,
    ) -> Delta:
        """A disagreement at this place, in text that can be written anywhere."""
        return Delta(
            path=_writable(self.path),
            site=self.site,
            kind=kind,
            local=None if local is None else _writable(local),
            remote=None if remote is None else _writable(remote),
            shape=_writable(shape),
            count=count,
            step=self.step,
            position=self.position,
        )


def compare_values(
    local: Json, remote: Json, place: Place, *, order: Order = Order.PROMISED
) -> Iterator[Delta]:
    """Where two values disagree.

    Order: of lists as `order` says, of an object's keys none. Tolerance: none; 1 is not 1.0
    and not true. null is null and nothing else; NaN is NaN; -0.0 is not 0.0. Time zones and
    encoding: text is compared by code point.

    Args:
        local: the local value.
        remote: the remote value.
        place: where they stand.
        order: whether the order of lists counts; ANY compares them as multisets.
    """
    if isinstance(local, dict) and isinstance(remote, dict):
        yield from _objects(local, remote, place, order)
    elif isinstance(local, list) and isinstance(remote, list):
        yield from _lists(local, remote, place, order)
    elif type_name(local) != type_name(remote):
        yield place.delta(
            Kind.TYPE,
            show(local),
            show(remote),
            shape=f"{type_name(local)}→{type_name(remote)}",
        )
    elif not same_scalar(local, remote):
        yield place.delta(
            Kind.VALUE, show(local), show(remote), shape=f"{shape_of(local)}→{shape_of(remote)}"
        )


def same_scalar(local: Json, remote: Json) -> bool:
    """Whether two scalars of one type are one value: NaN is NaN, -0.0 is not 0.0."""
    if isinstance(local, float) and isinstance(remote, float):
        if math.isnan(local) or math.isnan(remote):
            return math.isnan(local) and math.isnan(remote)
        return local == remote and math.copysign(1, local) == math.copysign(1, remote)
    return local == remote


def canonical(value: Json) -> str:
    """A text that two values share only if they are the same by the rules above."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def segment(name: str) -> str:
    """A name as one segment of a path: `/` is written `~1` and `~` is written `~0`."""
    return name.replace("~", "~0").replace("/", "~1")


def _writable(text: str) -> str:
    """The text with lone surrogates, which no encoding has, written out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _objects(
    local: Mapping[str, Json], remote: Mapping[str, Json], place: Place, order: Order
) -> Iterator[Delta]:
    for name in [*local, *(name for name in remote if name not in local)]:
        here = place.child(segment(name))
        if name not in remote:
            yield here.delta(Kind.MISSING, show(local[name]))
        elif name not in local:
            yield here.delta(Kind.EXTRA, None, show(remote[name]))
        else:
            yield from compare_values(local[name], remote[name], here, order=order)


def _lists(local: list[Json], remote: list[Json], place: Place, order: Order) -> Iterator[Delta]:
    left, right = [canonical(item) for item in local], [canonical(item) for item in remote]
    if sorted(left) == sorted(right):
        if order is Order.PROMISED and left != right:
            yield place.delta(Kind.ORDER, show(local), show(remote))
        return
    if order is Order.ANY:
        by_text = sorted(range(len(left)), key=left.__getitem__)
        other = sorted(range(len(right)), key=right.__getitem__)
        local, remote = [local[index] for index in by_text], [remote[index] for index in other]
        left, right = [left[index] for index in by_text], [right[index] for index in other]
    for at, to in align(left, right):
        here = place.child("#", f"#{at if at is not None else to}")
        if to is None and at is not None:
            yield here.delta(Kind.MISSING, show(local[at]))
        elif at is None and to is not None:
            yield here.delta(Kind.EXTRA, None, show(remote[to]))
        elif at is not None and to is not None:
            yield from compare_values(local[at], remote[to], here, order=order)
