"""Faults in the events and the metrics of a run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from harness.parity.controls.scene import EVENTS, METRICS, Fault, Scene, UnfitError
from harness.parity.vocabulary import STEP_COMPLETED, STEP_STARTED, name_of, step_of

__all__ = ["RECORD_FAULTS"]

Event = dict[str, Any]


def _event(line: bytes) -> Event:
    document = json.loads(line)
    return document if isinstance(document, dict) else {}


def _line(event: Event) -> bytes:
    return json.dumps(event).encode() + b"\n"


def _find(lines: list[bytes], fits: Callable[[Event], bool], number: int = 0) -> int:
    found = [index for index, line in enumerate(lines) if fits(_event(line))]
    if not found:
        raise UnfitError("an event of that kind")
    return found[number]


def _completes(event: Event) -> bool:
    return event.get("event") in STEP_COMPLETED


def _starts(event: Event) -> bool:
    return event.get("event") in STEP_STARTED


def _lines(
    fits: Callable[[Event], bool], change: Callable[[list[bytes], int], None], below: str = ""
) -> Callable[[Scene], str]:
    """A fault at the first event that fits; `below` is what of the event must be named."""

    def plant(scene: Scene) -> str:
        named: list[str] = []

        def edit(lines: list[bytes]) -> None:
            at = _find(lines, fits)
            named.append(str(_event(lines[at])["event"]))
            change(lines, at)

        scene.edit_lines(EVENTS, edit)
        return f"events/{named[0]}{below}"

    return plant


def _with(**fields: object) -> Callable[[list[bytes], int], None]:
    def change(lines: list[bytes], at: int) -> None:
        lines[at] = _line({**_event(lines[at]), **fields})

    return change


def _lose(lines: list[bytes], at: int) -> None:
    del lines[at]


def _double(lines: list[bytes], at: int) -> None:
    lines.insert(at, lines[at])


def _without_step(lines: list[bytes], at: int) -> None:
    event = _event(lines[at])
    event.pop("step_id", None)
    lines[at] = _line(event)


def _at(change: Callable[[datetime], object]) -> Callable[[list[bytes], int], None]:
    """Another time of the record, or the same one written otherwise."""

    def edit(lines: list[bytes], at: int) -> None:
        event = _event(lines[at])
        if not isinstance(event.get("ts"), str):
            raise UnfitError("an event with its time as text")
        lines[at] = _line({**event, "ts": change(datetime.fromisoformat(event["ts"]))})

    return edit


def _an_hour_before(instant: datetime) -> str:
    return (instant - timedelta(hours=1)).isoformat()


def _without_zone(instant: datetime) -> str:
    return instant.replace(tzinfo=None).isoformat()


def _everything_twice(scene: Scene) -> str:
    scene.edit_lines(EVENTS, lambda lines: lines.extend(lines[:]))
    return "events/step_"


def _torn(scene: Scene) -> str:
    def edit(lines: list[bytes]) -> None:
        at = _find(lines, _starts)
        lines[at] = lines[at][:12] + b"\n"

    scene.edit_lines(EVENTS, edit)
    return "events/<unparsable>"


def _moved(scene: Scene) -> str:
    """The end of the last step comes before its start."""

    def edit(lines: list[bytes]) -> None:
        step = step_of(_event(lines[_find(lines, _starts, -1)]))
        first = _find(lines, lambda e: _starts(e) and e.get("step_id") == step)
        last = _find(lines, lambda e: _completes(e) and e.get("step_id") == step)
        lines[first], lines[last] = lines[last], lines[first]

    scene.edit_lines(EVENTS, edit)
    return "events/step_"


def _unknown(scene: Scene) -> str:
    scene.edit_lines(EVENTS, lambda lines: lines.append(_line({"event": "retried_by_itself"})))
    return "events/retried_by_itself"


def _other_session(scene: Scene) -> str:
    """A record of another run: all others still agree on one id."""

    def edit(lines: list[bytes]) -> None:
        at = _find(lines, lambda event: "session" in event)
        lines[at] = _line({**_event(lines[at]), "session": "20200101_000000_deadbeef"})

    first = scene.records(EVENTS).read_bytes().splitlines()
    name = next(str(_event(line)["event"]) for line in first if "session" in _event(line))
    scene.edit_lines(EVENTS, edit)
    return f"events/{name}/fields/session"


def _steps_swapped(scene: Scene) -> str:
    """Two steps change names in one kind of event."""

    def edit(lines: list[bytes]) -> None:
        first, last = _find(lines, _completes), _find(lines, _completes, -1)
        one, other = _event(lines[first]), _event(lines[last])
        if one.get("step_id") == other.get("step_id"):
            raise UnfitError("two steps")
        one["step_id"], other["step_id"] = other["step_id"], one["step_id"]
        lines[first], lines[last] = _line(one), _line(other)

    scene.edit_lines(EVENTS, edit)
    return "events/step_complete"


def _accepted_twice(scene: Scene) -> str:
    """An event that only the remote side has, and that is known: once more than is known."""
    local = {name_of(record) for record in scene.local.events or ()}
    lines = scene.records(EVENTS).read_bytes().splitlines()
    counts = Counter(str(_event(line).get("event")) for line in lines)
    once = [name for name, count in counts.items() if count == 1 and name not in local]
    if not once:
        raise UnfitError("an event that only the remote side has")
    scene.edit_lines(
        EVENTS, lambda told: _double(told, _find(told, lambda e: e.get("event") == once[0]))
    )
    return f"events/{once[0]}"


def _no_events(scene: Scene) -> str:
    scene.remove(scene.records(EVENTS))
    return "events"


def _empty_metrics(scene: Scene) -> str:
    scene.write(scene.records(METRICS), b"")
    return "metrics"


def _is_counted(event: Event) -> bool:
    """A metric of something else than time: time is never compared."""
    value, name = event.get("value"), str(event.get("metric"))
    return isinstance(value, int) and value > 0 and "rows" in name


def _common_metric(scene: Scene, lines: list[bytes]) -> int:
    """The first such metric that both sides have."""
    local = {name_of(record) for record in scene.local.metrics or ()}
    return _find(lines, lambda event: _is_counted(event) and event.get("metric") in local)


def _metric(change: Callable[[list[bytes], int], None], below: str = "") -> Callable[[Scene], str]:
    def plant(scene: Scene) -> str:
        named: list[str] = []

        def edit(lines: list[bytes]) -> None:
            at = _common_metric(scene, lines)
            named.append(str(_event(lines[at])["metric"]))
            change(lines, at)

        scene.edit_lines(METRICS, edit)
        return f"metrics/{named[0]}{below}"

    return plant


def _off_by_one(lines: list[bytes], at: int) -> None:
    event = _event(lines[at])
    lines[at] = _line({**event, "value": event["value"] + 1})


def _as_float(lines: list[bytes], at: int) -> None:
    event = _event(lines[at])
    lines[at] = _line({**event, "value": float(event["value"])})


RECORD_FAULTS: tuple[Fault, ...] = tuple(
    Fault(name=name, plant=plant)
    for name, plant in (
        ("event missing", _lines(_completes, _lose)),
        ("event doubled", _lines(_completes, _double)),
        ("event out of order", _moved),
        ("event with another field", _lines(_starts, _with(driver="x.y"), "/fields/driver")),
        ("event with a new field", _lines(_starts, _with(retried=True), "/fields/retried")),
        ("event with a null field", _lines(_starts, _with(driver=None), "/fields/driver")),
        ("event without its step", _lines(_starts, _without_step)),
        ("time that goes back", _lines(_completes, _at(_an_hour_before), "/fields/ts")),
        ("time without its zone", _lines(_completes, _at(_without_zone), "/fields/ts")),
        ("time as a number", _lines(_completes, _at(datetime.timestamp), "/fields/ts")),
        ("every event twice", _everything_twice),
        ("event that does not parse", _torn),
        ("event that nobody knows", _unknown),
        ("known event once more than is known", _accepted_twice),
        ("two steps swapped in events", _steps_swapped),
        ("id of another run", _other_session),
        ("events file missing", _no_events),
        ("metric off by one", _metric(_off_by_one, "/fields/value")),
        ("metric turned float", _metric(_as_float, "/fields/value")),
        ("metric in another unit", _metric(_with(unit="kilobytes"), "/fields/unit")),
        ("metric missing", _metric(_lose)),
        ("metric doubled", _metric(_double)),
        ("metrics file empty", _empty_metrics),
    )
)
