"""One case, compared: from the evidence of its runs to its differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.model.difference import Difference
from harness.model.evidence import Evidence, FileRole
from harness.model.side import Side
from harness.parity.causes import differences_of
from harness.parity.comparison import compare_evidence
from harness.parity.delta import Delta
from harness.parity.file_names import with_steady_names
from harness.parity.noise import Noise, learn, learn_remote
from harness.parity.normalise import normalise_evidence
from harness.parity.outcome import outcome_of
from harness.parity.vocabulary import steps_of

__all__ = ["CaseComparison", "compare_case", "why_broken"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseComparison:
    """What came of comparing one case.

    Attributes:
        pipeline: the case's name.
        local: how the local side ended, in a word.
        remote: how the remote side ended, in a word.
        differences: what the sides disagree on, causes first.
        noise: what two local runs disagree on, and so was left out.
        remote_noise: what the runs of the remote side disagree on; left out, too.
        broken: why the comparison says nothing; None where it does.
        unkept: outputs that the remote side promised, with a claim of success, and
            did not write: the side is broken unless that difference is an accepted one.
        steps: how many steps the pipeline was seen to have.
        local_s: how long the first local run took; reported, never compared.
        remote_s: the same of the remote one.
        not_run: why it was not run, which is no fault of anyone; None where it was.
        unseen: areas of evidence that nobody could see in this run, such as "wire".
    """

    pipeline: str
    local: str
    remote: str
    differences: tuple[Difference, ...] = ()
    noise: tuple[Delta, ...] = ()
    remote_noise: tuple[Delta, ...] = ()
    broken: str | None = None
    unkept: tuple[str, ...] = ()
    steps: int = 0
    local_s: float = 0.0
    remote_s: float = 0.0
    not_run: str | None = None
    unseen: tuple[str, ...] = ()


def compare_case(
    first: Evidence,
    second: Evidence,
    remote: Evidence,
    *,
    again: Sequence[Evidence] = (),
    expect_success: bool | None = None,
) -> CaseComparison:
    """Compares two local runs with a remote one.

    Args:
        first: the local run that is compared.
        second: the local run that shows the noise.
        remote: the remote run.
        again: further remote runs, which show the noise of that side.
        expect_success: what the case promises of its outcome; None where it promises nothing.

    Raises:
        BrokenError: if a file of the evidence cannot be read.
    """
    broken = (
        why_broken(first)
        or why_broken(second)
        or _unexpected(first, second, expect_success)
        or next((why for side in (remote, *again) if (why := why_broken(side))), None)
        or _inconstant(remote, again)
    )
    unkept = _absent_outputs(remote)
    differences: tuple[Difference, ...] = ()
    mine, theirs = Noise(), Noise()
    names: tuple[Delta, ...] = ()
    if broken is None:
        everyone = [normalise_evidence(side) for side in (first, second, remote, *again)]
        sides, names = with_steady_names(everyone)
        mine = learn(sides[0], sides[1])
        theirs = learn_remote(sides[2], sides[3:])
        learned = mine.with_other(theirs)
        deltas = compare_evidence(sides[0], sides[2], noise=learned.measured)
        differences = differences_of(learned.subtract(deltas), sides[0].evidence, sides[2].evidence)
    return CaseComparison(
        pipeline=first.pipeline,
        local=outcome_of(first.result),
        remote=outcome_of(remote.result),
        differences=differences,
        noise=(*names, *mine.deltas),
        remote_noise=theirs.deltas,
        broken=broken,
        unkept=unkept,
        steps=max(len(steps_of(first, remote)), _configured_steps(first)),
        local_s=first.result.duration_s,
        remote_s=remote.result.duration_s,
        unseen=("wire",) if remote.wire is None else (),
    )


def _configured_steps(evidence: Evidence) -> int:
    """Each step has a configuration, also one that a run never came to."""
    return sum(file.role is FileRole.CFG for file in evidence.files)


def why_broken(evidence: Evidence) -> str | None:
    """Why a side says nothing; None where it can be compared.

    The local side is also broken when it claims success without what the plan promises.
    """
    side = evidence.side.value
    if evidence.broken is not None:
        return f"the {side} side is broken: {evidence.broken}"
    if _is_empty(evidence):
        return f"the {side} side is empty: no event, metric, status, file or error"
    absent = _absent_outputs(evidence)
    if absent and evidence.side is Side.LOCAL:
        return f"the {side} side claims success without the promised {', '.join(absent)}"
    return None


def _is_empty(evidence: Evidence) -> bool:
    seen = evidence.events or evidence.metrics or evidence.status or evidence.files
    result = evidence.result
    told = result.error_message or result.stdout or result.stderr
    return not seen and (result.success or not told)


def _absent_outputs(evidence: Evidence) -> tuple[str, ...]:
    if not evidence.result.success:
        return ()
    written = {file.path for file in evidence.files if file.role is FileRole.OUTPUT}
    return tuple(path for path in evidence.promised_outputs if path not in written)


def _inconstant(remote: Evidence, again: Sequence[Evidence]) -> str | None:
    """A remote side that ends now so and now so cannot be called equal, nor different."""
    ends = [outcome_of(side.result) for side in (remote, *again)]
    if len(set(ends)) == 1:
        return None
    return f"{len(ends)} remote runs end differently: {', '.join(ends)}"


def _unexpected(first: Evidence, second: Evidence, expect_success: bool | None) -> str | None:  # noqa: FBT001 - a fact of the case, named at the only call
    ends = [outcome_of(side.result) for side in (first, second)]
    if ends[0] != ends[1]:
        return f"two local runs end differently: {ends[0]} and {ends[1]}"
    if expect_success is not None and first.result.success != expect_success:
        promised = "success" if expect_success else "a failure"
        told = f": {first.result.error_message}" if first.result.error_message else ""
        return f"the case promises {promised}, and the local side {ends[0]}{told}"
    return None
