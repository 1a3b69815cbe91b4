"""A difference between two sides, and the allowance that accepts a known one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from harness.model.run import Json

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
        explained_by: the id of the difference that this one follows from; None where it
            stands for itself.
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
    explained_by: str | None = None

    def to_json(self) -> dict[str, Json]:
        """The difference as JSON; the shape of one entry in `verdict.json`."""
        return {
            "id": self.id,
            "path": self.path,
            "kind": self.kind,
            "local": self.local,
            "remote": self.remote,
            "pipelines": list(self.pipelines),
            "count": self.count,
            "step": self.step,
            "component": self.component,
            "cause": self.cause,
            "explained_by": self.explained_by,
        }

    @classmethod
    def from_json(cls, document: dict[str, Json]) -> Difference:
        """Reads what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: if the document is not a difference.
        """
        pipelines = document["pipelines"]
        if not isinstance(pipelines, list):
            raise TypeError("`pipelines` is a list")

        def text(name: str) -> str | None:
            value = document.get(name)
            return None if value is None else str(value)

        return cls(
            id=str(document["id"]),
            path=str(document["path"]),
            kind=str(document["kind"]),
            local=text("local"),
            remote=text("remote"),
            pipelines=tuple(str(name) for name in pipelines),
            count=int(str(document.get("count", 1))),
            step=text("step"),
            component=text("component"),
            cause=int(str(document.get("cause", 0))),
            explained_by=text("explained_by"),
        )


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
        local: a pattern of the local value (`*` for anything); None for any.
        remote: the same of the remote value.
        count: how often it occurs over all its pipelines; None for any number.
        per: "run" or "step": how often it may occur in one pipeline, once or once for
            each of its steps; None for any number.
    """

    path: str
    kind: str | None
    pipelines: tuple[str, ...]
    reason: str
    link: str
    expires: date
    source: str
    local: str | None = None
    remote: str | None = None
    count: int | None = None
    per: str | None = None
