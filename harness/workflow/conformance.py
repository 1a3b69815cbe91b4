"""E2B's own public suites against the emulator: what passes, of what could.

The suite runs first without any server and without a network: what passes then proves
nothing about an emulator and is not counted. Then the rest runs against an emulator, as
often as is asked, with the SDK that the index has in a version of the caller's choice.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from harness.clock import Clock, SystemClock
from harness.model.outcome import Outcome
from harness.model.verdict import Check, Verdict
from harness.redaction import Redactor
from harness.reports.session import write_session
from harness.reports.storage import write_files
from harness.settings import Settings
from harness.workflow.conformance_bench import Bench, Say, prepare
from harness.workflow.conformance_passes import Passes, SuiteRun
from harness.workflow.conformance_results import (
    AreaFigures,
    TestResult,
    checks_of_results,
    combined,
    figures_of,
)
from harness.workflow.conformance_suite import PYTHON_SDK, Origin, Sorting

__all__ = ["Conformance", "ConformancePlan", "RunFigures", "figures_of_run", "run_conformance"]

SESSION = "conformance"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConformancePlan:
    """What is to be run.

    Attributes:
        checkout: where the suite's repository lies.
        origin: whose suite it is.
        ref: the tag or commit whose tests are taken; None is the work tree, or HEAD.
        sdk: the version of the SDK to install; None is the one that the tests were made for.
        workers: how many processes run tests; None is what the suite is usually run with.
        runs: how often; a test counts as passed if it passed each time.
        no_root: run the emulator as an ordinary user, also where this process is root's.
        arguments: further words for pytest.
        emulator_arguments: further words for `harness emulator serve`.
    """

    checkout: Path
    origin: Origin = PYTHON_SDK
    ref: str | None = None
    sdk: str | None = None
    workers: int | None = None
    runs: int = 1
    no_root: bool = False
    arguments: tuple[str, ...] = ()
    emulator_arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFigures:
    """How one run of several went.

    Attributes:
        passed: feasible tests that passed.
        feasible: tests that count.
        duration_s: from the emulator's start to its end.
    """

    passed: int
    feasible: int
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Conformance:
    """What came of it.

    Attributes:
        verdict: a check a test that needs a server.
        figures: by area; passed is what passed in every run.
        runs: each run alone.
        twins: how many tests that only deny were shown to fail where nothing is denied.
        vacuous: how many tests passed without any server.
        suite_version: the SDK that the tests were made for.
        sdk_version: the SDK that they ran with.
        results: of all runs together, with whole texts.
        routes: of E2B's, those that were asked for and served, method and pattern.
    """

    verdict: Verdict
    figures: tuple[AreaFigures, ...]
    runs: tuple[RunFigures, ...]
    twins: int
    vacuous: int
    suite_version: str
    sdk_version: str
    results: tuple[TestResult, ...]
    routes: tuple[str, ...] = ()


def run_conformance(
    plan: ConformancePlan,
    settings: Settings,
    *,
    say: Say,
    sorting: Sorting | None = None,
    clock: Clock | None = None,
) -> Conformance:
    """Runs the suite and writes the session's report.

    Args:
        plan: what is to be run.
        settings: where reports and environments lie.
        say: told each step, for a person who waits.
        sorting: areas and left-out tests; the lists of this package where left out.
        clock: measures the run.

    Raises:
        UsageError: if there is no suite, or no such version of the SDK.
        BrokenError: if the suite cannot be collected, or the emulator does not start.
    """
    clock = clock or SystemClock()
    sorting = sorting or Sorting.load(plan.origin)
    started_at, started_s = clock.now(), clock.monotonic_s()
    clients = settings.testing_env / "clients"
    workers = plan.workers or plan.origin.workers
    with tempfile.TemporaryDirectory(prefix="harness-conformance-") as folder:
        bench = prepare(
            plan.origin,
            plan.checkout,
            Path(folder),
            clients,
            ref=plan.ref,
            sdk=plan.sdk,
            workers=workers,
            say=say,
        )
        modules, tests, vacuous = _sorted(bench, say)
        passes = Passes(
            bench=bench,
            sorting=sorting,
            tests=tests,
            vacuous=vacuous,
            no_root=plan.no_root,
            arguments=plan.arguments,
            emulator_arguments=plan.emulator_arguments,
            template_dir=_template_dir(plan, settings),
            clock=clock,
            say=say,
        )
        runs = _runs(passes, plan)
        output, sdk_version = bench.output, bench.sdk_version
    asked = tuple(combined([run.results for run in runs]).values())
    twins = {check.name: check for run in runs for check in run.twins}
    twins |= {c.name: c for run in runs for c in run.twins if c.outcome is not Outcome.PASSED}
    checks = (*checks_of_results(asked, sorting), *twins.values(), *map(_not_imported, modules))
    if not asked:
        reason = "no test that needs a server was selected"
        checks = (Check(name="suite", outcome=Outcome.NOT_RUN, reason=reason),)
    figures = figures_of(asked, sorting)
    by_run = tuple(figures_of_run(run, sorting) for run in runs)
    proven = sum(check.outcome is Outcome.PASSED for check in twins.values())
    verdict = Verdict(
        session=SESSION,
        endpoint="emulator",
        started_at=started_at,
        duration_s=clock.monotonic_s() - started_s,
        checks=checks,
        interrupted=any(run.interrupted for run in runs),
        details={
            "repository": plan.origin.repository,
            "suite": bench.suite.version,
            "sdk": sdk_version,
            "workers": workers,
            "ordinary_user": plan.no_root or os.geteuid() != 0,
            "vacuous": len(vacuous),
            "proven_twins": proven,
            "runs": [
                {"passed": row.passed, "feasible": row.feasible, "duration_s": row.duration_s}
                for row in by_run
            ],
            "areas": [row.to_json() for row in figures],
        },
    )
    folder_of_report = write_session(settings.reports, verdict)
    write_files(folder_of_report, {"pytest.txt": Redactor.of_process().data(output)})
    return Conformance(
        verdict=verdict,
        figures=figures,
        runs=by_run,
        twins=proven,
        vacuous=len(vacuous),
        suite_version=bench.suite.version,
        sdk_version=sdk_version,
        results=asked,
        routes=tuple(dict.fromkeys(route for run in runs for route in run.routes)),
    )


def _sorted(
    bench: Bench, say: Say
) -> tuple[tuple[TestResult, ...], frozenset[str], frozenset[str]]:
    """Modules that this SDK does not fit; all tests; those that pass without a server."""
    baselines = bench.baselines(say)
    results = baselines[0]
    modules = tuple(result for name, result in results.items() if "::" not in name)
    tests = frozenset(name for name in results if "::" in name)
    passed = {
        result.nodeid
        for baseline in baselines
        for result in baseline.values()
        if result.outcome == "passed"
    }
    vacuous = tests & passed
    say(f"{len(vacuous)} of {len(tests)} tests pass without any server and do not count")
    return modules, tests, vacuous


def _template_dir(plan: ConformancePlan, settings: Settings) -> Path | None:
    """Another user's emulator keeps its environments in a home of its own."""
    if not plan.origin.interpreter or plan.no_root:
        return None
    return settings.testing_env / "templates"


def _runs(passes: Passes, plan: ConformancePlan) -> tuple[SuiteRun, ...]:
    """The runs one after the other; an interruption ends the last one."""
    runs: list[SuiteRun] = []
    for number in range(1, plan.runs + 1):
        run = passes.run(number)
        if not plan.arguments and not run.interrupted:
            missing = passes.tests - passes.vacuous - set(run.results)
            run = replace(run, results={**run.results, **_never_reported(missing)})
        runs.append(run)
        if run.interrupted:
            break
    return tuple(runs)


def figures_of_run(run: SuiteRun, sorting: Sorting) -> RunFigures:
    """How one run went, all areas together."""
    rows = figures_of(tuple(run.results.values()), sorting)
    return RunFigures(
        passed=sum(row.passed for row in rows),
        feasible=sum(row.feasible for row in rows),
        duration_s=run.duration_s,
    )


def _not_imported(module: TestResult) -> Check:
    """A module of tests that this SDK does not fit: it says nothing about the emulator."""
    lines = module.text.strip().splitlines() or ["pytest gave no reason"]
    reason = f"cannot be imported with this SDK: {lines[-1].removeprefix('E').strip()}"
    return Check(name=module.nodeid, outcome=Outcome.NOT_RUN, reason=reason)


def _never_reported(names: frozenset[str]) -> dict[str, TestResult]:
    """Tests that a crash of pytest swallowed: they count as failed."""
    text = "never reported: pytest ended before it; see pytest.txt beside the verdict"
    return {name: TestResult(nodeid=name, outcome="failed", text=text) for name in sorted(names)}
