"""A compared case as JSON and back: what a worker hands over, and what a shard keeps."""

from __future__ import annotations

from dataclasses import asdict, fields

from harness.model.difference import Difference
from harness.model.run import Json
from harness.parity.case import CaseComparison
from harness.parity.delta import Delta, Kind
from harness.parity.verdict import CaseRun

__all__ = ["from_record", "to_record"]

_DELTAS = ("noise", "remote_noise")
_TUPLES = ("unkept", "unseen")


def to_record(run: CaseRun) -> dict[str, Json]:
    """The compared case as JSON; `from_record` reads the same."""
    comparison: dict[str, Json] = {
        item.name: getattr(run.comparison, item.name)
        for item in fields(CaseComparison)
        if item.name not in {*_DELTAS, *_TUPLES, "differences"}
    }
    for name in _TUPLES:
        comparison[name] = list(getattr(run.comparison, name))
    for name in _DELTAS:
        comparison[name] = [_delta_json(delta) for delta in getattr(run.comparison, name)]
    comparison["differences"] = [item.to_json() for item in run.comparison.differences]
    return {"comparison": comparison, "duration_s": run.duration_s, "folder": run.folder}


def from_record(document: Json) -> CaseRun:
    """Reads what `to_record` wrote.

    Raises:
        KeyError, TypeError, ValueError: if the document is not a compared case.
    """
    if not isinstance(document, dict) or not isinstance(document["comparison"], dict):
        raise TypeError("not a compared case")
    values: dict[str, Json] = dict(document["comparison"])
    lists = {name: values.pop(name) for name in (*_TUPLES, *_DELTAS, "differences")}
    rows = {name: value for name, value in lists.items() if isinstance(value, list)}
    return CaseRun(
        comparison=CaseComparison(
            **values,  # type: ignore[arg-type]  # its own fields, as they were written
            **{name: tuple(map(str, rows[name])) for name in _TUPLES},  # type: ignore[arg-type]
            **{name: tuple(map(_delta, rows[name])) for name in _DELTAS},  # type: ignore[arg-type]
            differences=tuple(
                Difference.from_json(item) for item in rows["differences"] if isinstance(item, dict)
            ),
        ),
        duration_s=float(str(document["duration_s"])),
        folder=str(document["folder"]),
    )


def _delta_json(delta: Delta) -> Json:
    return {**asdict(delta), "kind": delta.kind.value, "lines": list(delta.lines)}


def _delta(document: Json) -> Delta:
    if not isinstance(document, dict) or not isinstance(document["lines"], list):
        raise TypeError("not a delta")
    values = {name: value for name, value in document.items() if name not in {"kind", "lines"}}
    return Delta(
        **values,  # type: ignore[arg-type]  # its own fields, as they were written
        kind=Kind(str(document["kind"])),
        lines=tuple(int(str(line)) for line in document["lines"]),
    )
