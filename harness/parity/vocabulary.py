"""The few words of a run's log that parity has to understand.

Records are compared as they are, whatever they are called. Only to say which
step a difference belongs to, and what follows from a failed step, parity must
know how a record names its step and its component.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.model.evidence import Evidence, Record
from harness.model.run import Json

__all__ = [
    "completed_steps",
    "components_of",
    "error_of",
    "failed_step",
    "name_of",
    "step_of",
    "steps_of",
]

# Source: osiris 0.5.7 core/runner_v0.py (step_start, step_error), remote/proxy_worker.py
# (step_start, step_failed); metrics carry `step_id`, or `step` among their tags.
STEP_STARTED = frozenset({"step_start", "step_started"})
STEP_FAILED = frozenset({"step_error", "step_failed"})
STEP_COMPLETED = frozenset({"step_complete", "step_completed"})
NAME_FIELDS = ("event", "metric", "name", "type")
STEP_FIELDS = ("step_id", "step")
COMPONENT_FIELDS = ("component", "driver")


def name_of(record: Record) -> str:
    """What the record reports: its event or metric; `<unnamed>` where it does not say."""
    fields = record.fields
    for field in NAME_FIELDS:
        value = fields.get(field)
        if value.__class__ is str and value:
            return value
    return "<unnamed>"


def step_of(fields: Mapping[str, Json]) -> str | None:
    """The step that the record belongs to; None where it belongs to the whole run."""
    for field in STEP_FIELDS:
        value = fields.get(field)
        if isinstance(value, str) and value:
            return value
    tags = fields.get("tags")
    return step_of(tags) if isinstance(tags, dict) else None


def steps_of(*sides: Evidence) -> tuple[str, ...]:
    """Every step that any side started, in the order of the first side that shows it."""
    seen: dict[str, None] = {}
    for record in _events(sides):
        if name_of(record) in STEP_STARTED:
            step = step_of(record.fields)
            if step is not None:
                seen.setdefault(step)
    return tuple(seen)


def components_of(*sides: Evidence) -> dict[str, str]:
    """The component of each step, as the records name it."""
    components: dict[str, str] = {}
    for record in _events(sides):
        if name_of(record) not in STEP_STARTED:
            continue
        step = step_of(record.fields)
        component = next(
            (record.fields[field] for field in COMPONENT_FIELDS if field in record.fields), None
        )
        if step is not None and isinstance(component, str):
            components.setdefault(step, component)
    return components


def failed_step(evidence: Evidence) -> str | None:
    """The first step that the side reports as failed."""
    for record in evidence.events or ():
        if name_of(record) in STEP_FAILED:
            return step_of(record.fields)
    return None


def completed_steps(evidence: Evidence) -> frozenset[str]:
    """The steps that the side reports as completed."""
    done = (
        step_of(record.fields)
        for record in evidence.events or ()
        if name_of(record) in STEP_COMPLETED
    )
    return frozenset(step for step in done if step is not None)


def error_of(evidence: Evidence) -> str | None:
    """Why a run failed: the product's own words, else those of the first failed step."""
    if evidence.result.error_message:
        return evidence.result.error_message
    for record in evidence.events or ():
        if name_of(record) in STEP_FAILED:
            words = record.fields.get("error")
            return words if isinstance(words, str) else None
    return None


def _events(sides: Iterable[Evidence]) -> Iterable[Record]:
    for side in sides:
        yield from side.events or ()
