"""What the recorder wrote, as one result a test, and the figures by area."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.model.outcome import Outcome
from harness.model.run import Json
from harness.model.verdict import Check
from harness.workflow.conformance_suite import OTHER_AREA, Sorting

__all__ = [
    "AreaFigures",
    "TestResult",
    "checks_of_results",
    "combined",
    "figures_of",
    "read_results",
]

SKIPPED_BY_SUITE = "skipped by the suite itself: "
_BADNESS = {"passed": 0, "skipped": 1, "failed": 2}
DIED = "pytest ended in the middle of it; see pytest.txt beside the verdict"


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """One test of the suite.

    Attributes:
        nodeid: as pytest names it.
        outcome: "passed", "failed" or "skipped"; a failed set-up or tear-down fails the test.
        text: the failure, or the reason of the skip.
        duration_s: of all phases.
    """

    __test__ = False  # pytest collects what is called Test…

    nodeid: str
    outcome: str
    text: str = ""
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaFigures:
    """How an area stands.

    Attributes:
        area: its name.
        passed: feasible tests that passed.
        feasible: tests that need a server and are neither left out nor skipped by the suite.
        total: tests that need a server.
        beyond: left-out tests that passed all the same.
    """

    area: str
    passed: int
    feasible: int
    total: int
    beyond: int = 0

    def to_json(self) -> dict[str, Json]:
        """The figures as JSON."""
        return {
            "area": self.area,
            "passed": self.passed,
            "feasible": self.feasible,
            "total": self.total,
            "beyond": self.beyond,
        }


def read_results(record: Path) -> dict[str, TestResult]:
    """One result a test, from the lines that the recorder wrote.

    A test that was begun and never torn down took pytest with it: it failed.
    """
    results: dict[str, TestResult] = {}
    under_way: set[str] = set()
    if not record.is_file():
        return results
    for line in record.read_text(encoding="utf-8").splitlines():
        phase = json.loads(line)
        nodeid = str(phase["nodeid"])
        before = results.get(nodeid) or TestResult(nodeid=nodeid, outcome="passed")
        (under_way.add if phase["when"] in {"setup", "call"} else under_way.discard)(nodeid)
        worse = before.outcome == "failed" or phase["outcome"] == "passed"
        results[nodeid] = TestResult(
            nodeid=nodeid,
            outcome=before.outcome if worse else str(phase["outcome"]),
            text=before.text if worse else str(phase["text"]),
            duration_s=before.duration_s + float(phase["duration_s"]),
        )
    for nodeid in under_way:
        results[nodeid] = replace(results[nodeid], outcome="failed", text=DIED)
    return results


def combined(runs: Sequence[Mapping[str, TestResult]]) -> dict[str, TestResult]:
    """One result a test over several runs: its worst, with the number of the run it is from."""
    found: dict[str, TestResult] = {}
    for number, run in enumerate(runs, 1):
        for nodeid, result in run.items():
            before = found.get(nodeid)
            if before is not None and _BADNESS[before.outcome] >= _BADNESS[result.outcome]:
                continue
            told = len(runs) > 1 and result.outcome == "failed"
            # As pytest marks an error, so that it stands with the reason.
            where = f"\nE   in run {number} of {len(runs)}" if told else ""
            found[nodeid] = replace(result, text=result.text + where)
    return found


def checks_of_results(results: Iterable[TestResult], sorting: Sorting) -> tuple[Check, ...]:
    """A check a test; what is left out or skipped is NOT_RUN, whatever came of it."""
    return tuple(_check(result, sorting) for result in results)


def figures_of(results: Sequence[TestResult], sorting: Sorting) -> tuple[AreaFigures, ...]:
    """The figures of each area that has a test, in the order of the list."""
    by_area: dict[str, list[TestResult]] = {}
    for result in results:
        by_area.setdefault(sorting.area(result.nodeid), []).append(result)
    order = [name for name, _ in sorting.areas] + [OTHER_AREA]
    return tuple(_figures(name, by_area[name], sorting) for name in order if name in by_area)


def _figures(area: str, results: Sequence[TestResult], sorting: Sorting) -> AreaFigures:
    left_out = [r for r in results if sorting.why_left_out(r.nodeid) is not None]
    counted = [r for r in results if r not in left_out and r.outcome != "skipped"]
    return AreaFigures(
        area=area,
        passed=sum(result.outcome == "passed" for result in counted),
        feasible=len(counted),
        total=len(results),
        beyond=sum(result.outcome == "passed" for result in left_out),
    )


def _check(result: TestResult, sorting: Sorting) -> Check:
    why = sorting.why_left_out(result.nodeid)
    if why is not None:
        outcome = Outcome.NOT_RUN
        passes = "left out, but passes: take it off the list; was: "
        reason = (passes if result.outcome == "passed" else "left out: ") + why
    elif result.outcome == "skipped":
        outcome, reason = Outcome.NOT_RUN, SKIPPED_BY_SUITE + result.text
    else:
        outcome = Outcome.PASSED if result.outcome == "passed" else Outcome.FAILED
        reason = _last_line(result.text)
    return Check(name=result.nodeid, outcome=outcome, reason=reason, duration_s=result.duration_s)


def _last_line(text: str) -> str:
    """The lines that pytest marks as the error, else the last one."""
    lines = [line for line in text.splitlines() if line.strip()]
    marked = [line[1:].strip() for line in lines if line.startswith("E  ")]
    return "\n".join(marked[:6]) if marked else (lines[-1] if lines else "")
