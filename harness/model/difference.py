"""A difference between two sides, and the allowance that accepts a known one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

__all__ = ["Allowance", "Difference"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that the two sides disagree on.

    Attributes:
        id: stable from run to run for the same fault (a short hash of kind, path and shape).
        path: where, e.g. `outcome`, `events/step_start/fields/driver`, `files/output/out.csv`.
        kind: e.g. `value`, `missing`, `extra`, `unparsable`, `order`.
        local: the local side's value as text; None where there is none.
        remote: the remote side's value as text; None where there is none.
        pipelines: the cases in which it occurs, sorted.
        count: how often it occurs over all of them.
        step: the step that it belongs to, None where it belongs to the whole run.
        component: that step's component, e.g. `duckdb.processor`.
        cause: a number that orders causes: smaller is earlier in the causal chain.
    """

    id: str
    path: str
    kind: str
    local: str | None
    remote: str | None
    pipelines: tuple[str, ...]
    count: int = 1
    step: str | None = None
    component: str | None = None
    cause: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """A known divergence that is accepted, for a reason and for a time.

    Attributes:
        path: the difference's path; `*` stands for one segment, `**` for any number.
        kind: the difference's kind, None for any.
        pipelines: the cases in which it is expected; empty for any.
        reason: why it is accepted.
        link: where the cause is written down.
        expires: the last day on which it holds.
        source: file and line that declares it, for messages.
    """

    path: str
    kind: str | None
    pipelines: tuple[str, ...]
    reason: str
    link: str
    expires: date
    source: str
