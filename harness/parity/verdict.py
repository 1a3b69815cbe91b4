"""From compared cases to the verdict: what is accepted, what is open, what is wrong.

The details of the verdict hold everything that a reader needs to act: every
difference with both values, the noise that was left out, the accepted ones with
their reasons, and for each open one a paste-ready entry and the command that
reproduces it alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from harness.model.difference import Allowance, Difference
from harness.model.outcome import Outcome
from harness.model.run import Json
from harness.model.side import Side
from harness.model.verdict import Check
from harness.parity.acceptance import Acceptance, Problem, accept
from harness.parity.allowances import AllowanceFile
from harness.parity.case import CaseComparison
from harness.parity.causes import merge
from harness.parity.delta import Delta
from harness.parity.known import Known, known_causes
from harness.parity.proposals import as_toml, proposal

__all__ = ["DEFAULT_TERM", "CaseRun", "ParityFindings", "judge", "reproduce_command"]

DEFAULT_TERM = timedelta(days=90)
NO_REASON = "WHY IT IS ACCEPTED"
ALLOWANCES_CHECK = "allowances"
MAX_NAMED = 3
ENDED_WELL = "succeeded"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRun:
    """One case, run and compared.

    Attributes:
        comparison: what came of it.
        duration_s: wall time of all its runs and the comparison.
        folder: its run folder, relative to the project.
    """

    comparison: CaseComparison
    duration_s: float = 0.0
    folder: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityFindings:
    """What the comparison of a set of cases adds up to.

    Attributes:
        checks: one for each case, and one for the allowances where they are wrong.
        open: what nothing accepts, merged over the pipelines, causes first.
        occurrences: the same, each of one pipeline.
        accepted: what an allowance accepts, merged, with the allowance.
        problems: the allowances that are wrong.
        runs: the cases as they were run.
        known: what is behind an open difference, by its id and what explains it, where
            that is known from other pipelines.
    """

    checks: tuple[Check, ...]
    open: tuple[Difference, ...]
    occurrences: tuple[Difference, ...]
    accepted: tuple[tuple[Difference, Allowance], ...]
    problems: tuple[Problem, ...]
    runs: tuple[CaseRun, ...]
    known: Known = field(default_factory=Known)

    def to_json(self, *, command: str, today: date, program: str = "") -> dict[str, Json]:
        """The details of the verdict.

        Args:
            command: the beginning of a command that runs a case again.
            program: the end of that command, behind its options.
            today: the day from which a proposed allowance counts.
        """
        return {
            "again": f"{command} {program}".rstrip(),
            "without_allowances": f"{command} --no-allowances {program}".rstrip(),
            "cases": [
                _case_json(run, check, self.open)
                for run, check in zip(self.runs, self.checks, strict=False)
            ],
            "differences": [
                {
                    **item.to_json(),
                    "reproduce": reproduce_command(command, item, program),
                    "allowance": as_toml(self._proposal(item, today)),
                    "known": _known_json(self.known.get((item.id, item.explained_by))),
                }
                for item in self.open
            ],
            "accepted": [
                {**item.to_json(), "allowance": _allowance_json(by)} for item, by in self.accepted
            ],
            "noise": [
                {"pipeline": run.comparison.pipeline, "side": side.value, **_delta_json(delta)}
                for run in self.runs
                for side, deltas in (
                    (Side.LOCAL, run.comparison.noise),
                    (Side.E2B, run.comparison.remote_noise),
                )
                for delta in deltas
            ],
            "allowance_problems": [
                {
                    "source": item.allowance.source,
                    "path": item.allowance.path,
                    "message": item.message,
                    "next_step": item.next_step,
                }
                for item in self.problems
            ],
        }

    def _proposal(self, item: Difference, today: date) -> Allowance:
        return proposal(
            item,
            reason=NO_REASON,
            expires=today + DEFAULT_TERM,
            occurrences=[other for other in self.occurrences if other.id == item.id],
        )


def judge(
    runs: Sequence[CaseRun],
    allowances: AllowanceFile | None,
    *,
    today: date,
    library: Collection[str],
) -> ParityFindings:
    """What the compared cases add up to.

    Args:
        runs: the cases, in order.
        allowances: the accepted divergences; None to accept none and judge none.
        today: the day on which an allowance must still hold.
        library: every pipeline that there is.
    """
    acceptance = accept(
        (item for run in runs for item in run.comparison.differences),
        allowances.allowances if allowances else (),
        today=today,
        compared={
            run.comparison.pipeline: run.comparison.steps
            for run in runs
            if run.comparison.broken is None and run.comparison.not_run is None
        },
        library=library,
        unseen={area for run in runs for area in run.comparison.unseen},
        absent={run.comparison.pipeline for run in runs if run.comparison.not_run is not None},
    )
    known: Known = {}
    if allowances is not None:
        failed = {item.comparison.pipeline for item in runs if item.comparison.remote != ENDED_WELL}
        known = known_causes(merge(acceptance.open), allowances, failed=failed)
    checks = [_check(run, acceptance, known) for run in runs]
    if acceptance.problems:
        checks.append(_allowances_check(acceptance.problems))
    return ParityFindings(
        checks=tuple(checks),
        open=merge(acceptance.open),
        occurrences=acceptance.open,
        accepted=_merge_accepted(acceptance.accepted),
        problems=acceptance.problems,
        runs=tuple(runs),
        known=known,
    )


def reproduce_command(command: str, difference: Difference, program: str = "") -> str:
    """The command that shows the difference alone, in the first pipeline where it occurs."""
    words = f"{command} --case {difference.pipelines[0]} --no-allowances {program}"
    return words.rstrip()


def _check(run: CaseRun, acceptance: Acceptance, known: Known) -> Check:
    name = run.comparison.pipeline
    broken = run.comparison.broken or _unkept(run.comparison, acceptance)
    found = [item for item in acceptance.open if item.pipelines == (name,)]
    if run.comparison.not_run is not None:
        outcome, reason = Outcome.NOT_RUN, run.comparison.not_run
    elif broken is not None:
        look = f"\nnext: look into {run.folder}, then run it again" if run.folder else ""
        outcome, reason = Outcome.BROKEN, broken + look
    elif found:
        outcome, reason = Outcome.FAILED, _summary(found, known)
    else:
        outcome, reason = Outcome.PASSED, ""
    return Check(name=name, outcome=outcome, reason=reason, duration_s=run.duration_s)


def _unkept(comparison: CaseComparison, acceptance: Acceptance) -> str | None:
    """A promised output that is not there breaks the side, unless just that is accepted."""
    accepted = {
        item.path for item, _ in acceptance.accepted if item.pipelines == (comparison.pipeline,)
    }
    absent = [path for path in comparison.unkept if f"files/output/{path}" not in accepted]
    if not absent:
        return None
    return f"the e2b side claims success without the promised {', '.join(absent)}"


def _summary(found: Sequence[Difference], known: Known) -> str:
    """The causes in few words, new ones first; what follows from them is only counted."""
    everything = [item for item in found if item.explained_by is None]
    causes = sorted(everything, key=lambda item: (item.id, None) in known)
    explained = sum((item.id, None) in known for item in causes)
    first = f"{len(causes)} differences" if len(causes) != 1 else "1 difference"
    lines = [f"{first}, {explained} of a known cause" if explained else first]
    for item in causes[:MAX_NAMED]:
        by = known.get((item.id, None))
        cause = f" [{by.link or by.source}]" if by else ""
        lines.append(f"{item.id} {item.path} ({item.kind}): {item.local} → {item.remote}{cause}")
    if len(causes) > MAX_NAMED:
        lines.append(f"… and {len(causes) - MAX_NAMED} more")
    if len(found) > len(causes):
        lines.append(f"{len(found) - len(causes)} more follow from these")
    return "\n".join(lines)


def _allowances_check(problems: Sequence[Problem]) -> Check:
    lines = [
        f"{item.allowance.source} ({item.allowance.path}): {item.message}; {item.next_step}"
        for item in problems
    ]
    return Check(name=ALLOWANCES_CHECK, outcome=Outcome.FAILED, reason="\n".join(lines))


def _merge_accepted(
    accepted: Sequence[tuple[Difference, Allowance]],
) -> tuple[tuple[Difference, Allowance], ...]:
    by_source: dict[str, tuple[Allowance, list[Difference]]] = {}
    for item, by in accepted:
        by_source.setdefault(by.source, (by, []))[1].append(item)
    merged = [(item, by) for by, items in by_source.values() for item in merge(items)]
    return tuple(sorted(merged, key=lambda pair: (pair[0].cause, pair[0].path, pair[0].id)))


def _case_json(run: CaseRun, check: Check, left: Sequence[Difference]) -> Json:
    comparison = run.comparison
    mine = [item for item in left if comparison.pipeline in item.pipelines]
    return {
        "name": comparison.pipeline,
        "outcome": check.outcome.value,
        "local": comparison.local,
        "e2b": comparison.remote,
        "local_s": round(comparison.local_s, 3),
        "e2b_s": round(comparison.remote_s, 3),
        "duration_s": round(run.duration_s, 3),
        "differences": len(comparison.differences),
        "open": sum(item.explained_by is None for item in mine),
        "following": sum(item.explained_by is not None for item in mine),
        "noise": len(comparison.noise) + len(comparison.remote_noise),
        "folder": run.folder,
    }


def _allowance_json(allowance: Allowance) -> Json:
    return {
        "source": allowance.source,
        "path": allowance.path,
        "reason": allowance.reason,
        "link": allowance.link,
        "expires": allowance.expires.isoformat(),
    }


def _known_json(known: Allowance | None) -> Json:
    if known is None:
        return None
    return {"source": known.source, "reason": known.reason, "link": known.link}


def _delta_json(delta: Delta) -> dict[str, Json]:
    return {
        "path": delta.path,
        "kind": delta.kind.value,
        "first": delta.local,
        "second": delta.remote,
        "step": delta.step,
        "count": delta.count,
    }
