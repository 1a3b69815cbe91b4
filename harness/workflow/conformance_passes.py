"""One run of a public suite against an emulator, in passes: each attached as its tests need it.

First by the SDK's variables; then by proxy what asks for sandboxes by public host names,
because no resolver knows `<port>-<sandbox>.<domain>`, but the emulator's proxy does; and
last, with their denials taken away, the tests that only show what is out of reach.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.clock import Clock
from harness.emulator.attach import Emulator
from harness.model.outcome import Outcome
from harness.model.verdict import Check
from harness.workflow.conformance_bench import HTTPBIN, TWIN, Bench, Say
from harness.workflow.conformance_internet import stand_in
from harness.workflow.conformance_recorder import RECORD_VARIABLE, SKIP_VARIABLE
from harness.workflow.conformance_results import TestResult, read_results
from harness.workflow.conformance_suite import Sorting
from harness.workflow.shown_routes import served_routes

__all__ = ["Passes", "SuiteRun"]

ORDINARY_USER = 65534  # nobody: no home, no rights, on every Linux
_PROVES = "DID NOT RAISE"


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteRun:
    """What came of one run of the suite.

    Attributes:
        results: by test.
        twins: a check for each test that only denies: it must fail where nothing is denied.
        routes: of E2B's, those that were asked for and served, method and pattern.
        duration_s: of all passes.
        interrupted: somebody asked for an end.
    """

    results: Mapping[str, TestResult]
    twins: tuple[Check, ...] = ()
    routes: tuple[str, ...] = ()
    duration_s: float = 0.0
    interrupted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Passes:
    """How a suite is run against emulators.

    Attributes:
        bench: the suite.
        sorting: what its tests need.
        tests: those that were collected.
        vacuous: those that are not run, because they need no server.
        no_root: run the emulator as an ordinary user, also where this process is root's.
        arguments: further words for pytest.
        emulator_arguments: further words for `harness emulator serve`.
        template_dir: where the emulator keeps built environments.
        clock: measures.
        say: told each step.
    """

    bench: Bench
    sorting: Sorting
    tests: frozenset[str]
    vacuous: frozenset[str]
    no_root: bool
    arguments: tuple[str, ...]
    emulator_arguments: tuple[str, ...]
    template_dir: Path | None
    clock: Clock
    say: Say = field(repr=False)

    def run(self, number: int) -> SuiteRun:
        """Runs everything once, against an emulator of its own.

        Args:
            number: tells this run from others on the same bench.

        Raises:
            BrokenError: the emulator does not start.
        """
        started_s = self.clock.monotonic_s()
        user = ORDINARY_USER if self.no_root else None
        kinds = ("--interpreter",) if self.bench.origin.interpreter else ()
        place = self.bench.suite.folder.parent
        place.chmod(0o711)  # another user's emulator reads what stands for the internet
        with (
            stand_in(place) as internet,
            Emulator(
                *("--proxy", "--internet", str(internet), *kinds),
                *self.emulator_arguments,
                user=user,
                template_dir=self.template_dir,
            ) as emulator,
        ):
            whose = "an ordinary user's" if self.no_root else "this user's"
            self.say(f"run {number}: an emulator ({whose}), {self.bench.workers} workers")
            found = self._against(emulator, number)
            routes = served_routes(emulator.ledger())
        duration_s = self.clock.monotonic_s() - started_s
        return replace(found, routes=routes, duration_s=duration_s)

    def _against(self, emulator: Emulator, number: int) -> SuiteRun:
        by_name = {nodeid for nodeid in self.tests if self.sorting.is_by_name(nodeid)}
        if any(self.sorting.needs_httpbin(nodeid) for nodeid in by_name) and (
            failure := self.bench.program(HTTPBIN, emulator.env)
        ):
            self.say(f"the template httpbin was not built: {failure}")
        results: dict[str, TestResult] = {}
        passes = (
            ("variables", emulator.env, self.tests - by_name),
            ("proxy", emulator.proxy_env, by_name),
        )
        for name, attach, tests in passes:
            found, interrupted = self._pass(attach, tests - self.vacuous, f"{number}-{name}")
            results |= found
            if interrupted:
                return SuiteRun(results=results, interrupted=True)
        denied = {
            nodeid
            for nodeid, result in results.items()
            if self.sorting.only_denies(nodeid) and result.outcome == "passed"
        }
        found, interrupted = self._pass(emulator.env, denied, f"{number}-twins", TWIN)
        twins = tuple(_twin(nodeid, found.get(nodeid)) for nodeid in sorted(denied))
        return SuiteRun(
            results=results, twins=() if interrupted else twins, interrupted=interrupted
        )

    def _pass(
        self, attach: Mapping[str, str], tests: set[str] | frozenset[str], name: str, *plugins: str
    ) -> tuple[dict[str, TestResult], bool]:
        if not tests:
            return {}, False
        record = self.bench.home / f"record-{name}.jsonl"
        skip = self.bench.home / f"skip-{name}.txt"
        skip.write_text("\n".join(sorted(self.tests - tests)), encoding="utf-8")
        interrupted = self.bench.pytest(
            {**attach, RECORD_VARIABLE: str(record), SKIP_VARIABLE: str(skip)},
            self.arguments,
            workers=min(self.bench.workers, len(tests)),
            plugins=plugins,
        )
        # A module that cannot be imported is told of in each pass, and is no test.
        found = {nodeid: r for nodeid, r in read_results(record).items() if nodeid in tests}
        return found, interrupted


def _twin(nodeid: str, result: TestResult | None) -> Check:
    """A test whose denial was taken away: only its own assertion may have failed."""
    name = f"{nodeid} [allowed twin]"
    if result is not None and result.outcome == "failed" and _PROVES in result.text:
        return Check(name=name, outcome=Outcome.PASSED, duration_s=result.duration_s)
    why = "it passes although nothing is denied: it proves nothing"
    if result is None:
        why = "its twin was never reported; see pytest.txt"
    elif result.outcome == "failed":
        why = f"its twin failed otherwise: {(result.text.strip().splitlines() or [''])[-1]}"
    return Check(name=name, outcome=Outcome.BROKEN, reason=why)
