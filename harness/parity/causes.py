"""Turns the raw disagreements of one pipeline into differences, causes first.

The order of causes: outcome, exit code, error, output data, status, artifacts,
events, metrics, streams. Where one side alone failed, or failed earlier, what
follows from the failed step (later steps, missing outputs, the closing records)
is explained by the first difference, and not a fault of its own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from harness.model.difference import Difference
from harness.model.evidence import Evidence
from harness.parity.delta import Delta, Kind, without_digits
from harness.parity.vocabulary import (
    completed_steps,
    components_of,
    failed_step,
    name_of,
    step_of,
    steps_of,
)

__all__ = ["differences_of", "merge"]

ID_LENGTH = 10
MIN_STEP_NAME = 3
_RANKS = (
    *("outcome", "exit_code", "error", "step_results", "files/output", "status"),
    *("files/artifact", "files/cfg", "files/run", "files/status", "wire"),
    *("events", "metrics", "stdout", "stderr", "log"),
)
_PER_RANK = 1_000_000
_HEADS = frozenset({"outcome", "error/type", "error/text"})


def differences_of(
    deltas: Iterable[Delta], local: Evidence, remote: Evidence
) -> tuple[Difference, ...]:
    """The differences of one pipeline, causes first.

    Args:
        deltas: the raw disagreements, without noise.
        local: the local side, normalised.
        remote: the remote side, normalised.
    """
    ordered = sorted(deltas, key=_cause)
    steps, components = steps_of(local, remote), components_of(local, remote)
    head = next((delta for delta in ordered if delta.path in _HEADS), None)
    failure = _failure_of(local, remote, steps) if head is not None else None
    head_id = _identify(head, steps) if head is not None else None
    found = []
    for delta in ordered:
        follows = failure is not None and delta is not head and failure.explains(delta)
        found.append(
            Difference(
                id=_identify(delta, steps),
                path=delta.path,
                kind=delta.kind.value,
                local=delta.local,
                remote=delta.remote,
                pipelines=(local.pipeline,),
                count=delta.count,
                step=delta.step,
                component=components.get(delta.step) if delta.step else None,
                cause=_cause(delta),
                explained_by=head_id if follows else None,
            )
        )
    if failure is not None and found:
        found = [_with_step(item, failure, components) for item in found]
    return merge(found)


def merge(differences: Iterable[Difference]) -> tuple[Difference, ...]:
    """One difference for each fault: counts and pipelines added up, the first values kept."""
    merged: dict[tuple[str, str | None], Difference] = {}
    for item in differences:
        key = (item.id, item.explained_by)
        known = merged.get(key)
        if known is None:
            merged[key] = item
        else:
            merged[key] = replace(
                known,
                count=known.count + item.count,
                pipelines=tuple(sorted({*known.pipelines, *item.pipelines})),
                cause=min(known.cause, item.cause),
            )
    return tuple(sorted(merged.values(), key=lambda item: (item.cause, item.path, item.id)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    """A side that failed where the other went on.

    Attributes:
        remote: whether it is the remote side.
        step: the step that failed; None where the side does not say.
        spared: the steps that came before it, which it explains nothing of.
        local_events: the first local event that may follow from the failure.
        remote_events: the same of the remote side.
    """

    remote: bool
    step: str | None
    spared: Collection[str]
    local_events: int
    remote_events: int

    def explains(self, delta: Delta) -> bool:
        """Whether the disagreement follows from the failure."""
        if delta.step is not None and delta.step in self.spared:
            return False
        absent = Kind.MISSING if self.remote else Kind.EXTRA
        area = delta.path.split("/", 1)[0]
        if area in {"exit_code", "error", "status", "step_results", "stdout", "stderr", "log"}:
            return True
        if area == "files":
            return self._explains_file(delta, absent)
        if area == "metrics":
            of_run = delta.step is None and delta.kind is Kind.VALUE
            return delta.kind is absent or delta.step is not None or of_run
        return area == "events" and self._is_after(delta)

    def _explains_file(self, delta: Delta, absent: Kind) -> bool:
        if delta.path.startswith("files/output/"):
            return delta.kind is absent
        return delta.step is not None and delta.kind in {Kind.MISSING, Kind.EXTRA}

    def _is_after(self, delta: Delta) -> bool:
        of_remote = delta.local is None
        return delta.position >= (self.remote_events if of_remote else self.local_events)


def _failure_of(local: Evidence, remote: Evidence, steps: Sequence[str]) -> _Failure | None:
    reached = [_reached(side, steps) for side in (local, remote)]
    if reached[0] == reached[1]:
        return None
    remotely = reached[1] < reached[0]
    failed, went_on = (remote, local) if remotely else (local, remote)
    number = min(reached)
    step = steps[number] if number < len(steps) else failed_step(failed)
    starts = (_start_of(went_on, step), _failure_in(failed, step))
    return _Failure(
        remote=remotely,
        step=step,
        spared=frozenset(steps[:number]),
        local_events=starts[0] if remotely else starts[1],
        remote_events=starts[1] if remotely else starts[0],
    )


def _reached(side: Evidence, steps: Sequence[str]) -> int:
    """How far a run came: the number of the step in which it failed; beyond all where it did not.

    A run that ended without a word of a step failed in the first that it did not complete.
    """
    if side.result.success:
        return len(steps) + 1
    step = failed_step(side)
    if step in steps:
        return steps.index(step)
    completed = completed_steps(side)
    return next((n for n, step in enumerate(steps) if step not in completed), len(steps))


def _start_of(side: Evidence, step: str | None) -> int:
    """The first event of a step; what stands before it does not follow from its failure."""
    for position, record in enumerate(side.events or ()):
        if step is not None and step_of(record.fields) == step:
            return position
    return 0


def _failure_in(side: Evidence, step: str | None) -> int:
    """The event that reports the failure; the end of the events where none does."""
    for position, record in enumerate(side.events or ()):
        if step_of(record.fields) == step and _is_failure(name_of(record)):
            return position
    return len(side.events or ())


def _is_failure(name: str) -> bool:
    return name.endswith(("_failed", "_error"))


def _with_step(item: Difference, failure: _Failure, components: dict[str, str]) -> Difference:
    """The head names the step that failed."""
    if item.path not in _HEADS or failure.step is None or item.step is not None:
        return item
    return replace(item, step=failure.step, component=components.get(failure.step))


def _cause(delta: Delta) -> int:
    rank = next(
        (
            number
            for number, prefix in enumerate(_RANKS)
            if delta.path == prefix or delta.path.startswith(f"{prefix}/")
        ),
        len(_RANKS),
    )
    return rank * _PER_RANK + min(delta.position, _PER_RANK - 1)


def _identify(delta: Delta, steps: Sequence[str]) -> str:
    """The same for the same fault in the next run and in another pipeline."""
    shape = delta.shape
    for name in _spellings(steps):
        shape = re.sub(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", "<step>", shape)
    text = f"{delta.kind.value}\n{delta.path}\n{shape}"
    return hashlib.sha256(text.encode()).hexdigest()[:ID_LENGTH]


def _spellings(steps: Iterable[str]) -> list[str]:
    """How the steps' names may stand in a shape, longest first.

    As they are, as part of a table's name (`keep-even` is `df_keep_even` there), and
    without digits.
    """
    found = {step for step in steps if len(step) >= MIN_STEP_NAME}
    found |= {re.sub(r"[^A-Za-z0-9_]", "_", step) for step in found}
    found |= {without_digits(name) for name in found}
    return sorted(found, key=lambda name: (-len(name), name))
