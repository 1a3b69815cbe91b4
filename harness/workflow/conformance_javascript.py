"""E2B's public JavaScript suite against the emulator: what passes, of what could.

Its tests import the SDK's sources beside them, so those are taken along: the SDK under test
is the checkout's. It knows E2B's public names only, and finds the emulator by its proxy.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from harness.clock import Clock, SystemClock
from harness.emulator.attach import Emulator
from harness.errors import BrokenError
from harness.model.outcome import Outcome
from harness.model.verdict import Check, Verdict
from harness.redaction import Redactor
from harness.reports.session import write_session
from harness.reports.storage import write_files
from harness.settings import Settings
from harness.workflow.client_environments import NEWEST, ensure_client, pinned
from harness.workflow.conformance import Conformance, figures_of_run
from harness.workflow.conformance_bench import HTTPBIN, Say, without_network
from harness.workflow.conformance_internet import stand_in
from harness.workflow.conformance_passes import SuiteRun
from harness.workflow.conformance_results import TestResult, checks_of_results, figures_of
from harness.workflow.conformance_suite import Origin, Sorting, digest_of, take_package
from harness.workflow.npm_packages import install_npm_packages
from harness.workflow.processes import run_child

__all__ = ["JAVASCRIPT_SDK", "read_report", "run_javascript"]

SESSION = "conformance-javascript"
JAVASCRIPT_SDK = Origin(
    repository="e2b-dev/E2B",
    package="packages/js-sdk",
    distribution="e2b",
    areas="conformance_javascript_areas.toml",
    left_out="conformance_left_out.toml",
    workers=4,
)
_WANTED = ("src", "tests", "package.json")
# Of what the package develops with, what its tests import.
_TEST_PACKAGES = ("vitest", "msw", "dotenv", "error-stack-parser-es")
_NOT_RUN_IN_NODE = ("tests/runtimes/**", "tests/bundle/**", "tests/*.browser.test.ts")
_CONFIG = "harness.vitest.config.mts"
_PROXY = "versions_proxy.mjs"
_SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin"
_API_KEY = "e2b_" + "0" * 40  # pragma: allowlist secret
_OUTCOMES = {"passed": "passed", "failed": "failed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    """The suite, installed, and a folder of this run."""

    suite: Path
    home: Path
    workers: int
    output: list[str] = field(default_factory=list)

    def run(
        self, name: str, env: Mapping[str, str], before: Sequence[str] = ()
    ) -> dict[str, TestResult]:
        """Runs it; a file that does not import is a result without a title."""
        report = self.home / f"{name}.json"
        node = shutil.which("node") or "node"
        vitest = self.suite / "node_modules" / "vitest" / "vitest.mjs"
        ended = run_child(
            [
                *(*before, node, str(vitest), "run", "--config", _CONFIG),
                *("--maxWorkers", str(self.workers)),
                *("--reporter", "json", "--outputFile", str(report)),
            ],
            env={
                "PATH": f"{Path(node).parent}:{_SEARCH_PATH}",
                "HOME": str(self.home),
                "LANG": "C.UTF-8",
                **env,
            },
            cwd=self.suite,
            capture=True,
        )
        self.output.append(ended.output)
        if ended.interrupted:
            raise KeyboardInterrupt
        if not report.is_file():
            raise BrokenError(
                f"vitest wrote no report: {ended.last_line}",
                expected="a suite that vitest can run",
                next_step="take the tests of a release: --ref 'e2b@<version>'",
            )
        return read_report(json.loads(report.read_text(encoding="utf-8")), self.suite)


def run_javascript(
    checkout: Path,
    settings: Settings,
    *,
    ref: str | None = None,
    workers: int | None = None,
    say: Say,
    clock: Clock | None = None,
) -> Conformance:
    """Runs the suite twice, without a server and with an emulator, and writes the report.

    Args:
        checkout: where E2B's repository lies, a work tree or bare.
        settings: where reports and environments lie.
        ref: the tag or commit whose suite is taken; None is the work tree, or HEAD.
        workers: how many processes run tests.
        say: told each step, for a person who waits.
        clock: measures the run.

    Raises:
        UsageError: there is no suite.
        BrokenError: npm cannot install what it needs, or the emulator does not start.
    """
    clock = clock or SystemClock()
    started_at, started_s = clock.now(), clock.monotonic_s()
    workers = workers or JAVASCRIPT_SDK.workers
    clients = settings.testing_env / "clients"
    suite, version = _installed(checkout, clients, ref)
    say(f"tests and sources of {version}")
    sorting = Sorting.load(JAVASCRIPT_SDK)
    with tempfile.TemporaryDirectory(prefix="harness-conformance-") as folder:
        bench = _Bench(suite=suite, home=Path(folder), workers=workers)
        say("first without a server, to learn what proves nothing")
        baseline = bench.run("baseline", {"E2B_API_KEY": _API_KEY}, without_network())
        vacuous = {name for name, result in baseline.items() if result.outcome == "passed"}
        say(f"{len(vacuous)} of {len(baseline)} tests pass without any server and do not count")
        begun_s = clock.monotonic_s()
        results = _against_emulator(bench, clients, say)
        duration_s = clock.monotonic_s() - begun_s
    asked = tuple(result for name, result in results.items() if name not in vacuous)
    figures = figures_of(asked, sorting)
    run = SuiteRun(results={one.nodeid: one for one in asked}, duration_s=duration_s)
    checks = checks_of_results(asked, sorting)
    if not asked:
        reason = "no test that needs a server was found"
        checks = (Check(name="suite", outcome=Outcome.NOT_RUN, reason=reason),)
    verdict = Verdict(
        session=SESSION,
        endpoint="emulator",
        started_at=started_at,
        duration_s=clock.monotonic_s() - started_s,
        checks=checks,
        details={
            "repository": JAVASCRIPT_SDK.repository,
            "suite": version,
            "sdk": version,
            "workers": workers,
            "ordinary_user": os.geteuid() != 0,
            "vacuous": len(vacuous),
            "areas": [row.to_json() for row in figures],
        },
    )
    report = write_session(settings.reports, verdict)
    output = "\n".join(bench.output).encode()
    write_files(report, {"vitest.txt": Redactor.of_process().data(output)})
    return Conformance(
        verdict=verdict,
        figures=figures,
        runs=(figures_of_run(run, sorting),),
        twins=0,
        vacuous=len(vacuous),
        suite_version=version,
        sdk_version=version,
        results=asked,
    )


def read_report(document: Mapping[str, Any], suite: Path) -> dict[str, TestResult]:
    """One result a test, out of vitest's report in JSON.

    Args:
        document: the report.
        suite: the folder that the names of files are told below.
    """
    found: dict[str, TestResult] = {}
    seen: Counter[str] = Counter()
    for file in document["testResults"]:
        name = Path(file["name"]).relative_to(suite.resolve()).as_posix()
        if not file["assertionResults"]:
            found[name] = TestResult(nodeid=name, outcome="failed", text=file.get("message", ""))
        for row in file["assertionResults"]:
            nodeid = f"{name}::{row['fullName']}"
            seen[nodeid] += 1
            if seen[nodeid] > 1:  # two tests of one title
                nodeid = f"{nodeid}#{seen[nodeid]}"
            found[nodeid] = TestResult(
                nodeid=nodeid,
                outcome=_OUTCOMES.get(row["status"], "skipped"),
                text=_first_line(row.get("failureMessages") or ()),
                duration_s=(row.get("duration") or 0) / 1000,
            )
    return found


def _first_line(messages: Sequence[str]) -> str:
    return messages[0].partition("\n")[0] if messages else ""


def _installed(checkout: Path, clients: Path, ref: str | None) -> tuple[Path, str]:
    """The suite with its packages, kept for the next run; and its version."""
    clients.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".javascript-", dir=clients) as folder:
        place = Path(folder, "suite")
        place.mkdir()
        take_package(checkout, place, JAVASCRIPT_SDK, _WANTED, ref=ref)
        manifest = json.loads((place / "package.json").read_text(encoding="utf-8"))
        developed = manifest.pop("devDependencies", {})
        (place / "package.json").write_text(json.dumps(manifest), encoding="utf-8")
        (place / _CONFIG).write_text(_config(), encoding="utf-8")
        proxy = files("harness.workflow").joinpath(_PROXY)
        (place / _PROXY).write_bytes(proxy.read_bytes())
        suite = clients / f"javascript-suite-{manifest['version']}-{digest_of(place)}"
        if not suite.is_dir():
            place.rename(suite)
    packages = [f"{name}@{developed[name]}" for name in _TEST_PACKAGES if name in developed]
    if why := install_npm_packages(suite, packages):
        raise BrokenError(
            why,
            expected="npm to install what the suite needs",
            next_step="install Node.js 20 or newer, check the registry, then run it again",
        )
    return suite, str(manifest["version"])


def _config() -> str:
    left_out = json.dumps([*_NOT_RUN_IN_NODE, "**/node_modules/**"])
    return f"""\
import {{ defineConfig }} from 'vitest/config'

export default defineConfig({{
  test: {{
    include: ['tests/**/*.test.ts'],
    exclude: {left_out},
    environment: 'node',
    isolate: true,
    testTimeout: 120_000,
    setupFiles: ['tests/globalFetchFallback.setup.ts'],
  }},
}})
"""


def _against_emulator(bench: _Bench, clients: Path, say: Say) -> dict[str, TestResult]:
    python = ensure_client(clients, f"e2b-{NEWEST}", [pinned("e2b", NEWEST)])
    bench.home.chmod(0o711)
    program = bench.home / f"{HTTPBIN}.py"
    program.write_bytes(files("harness.workflow").joinpath(program.name).read_bytes())
    with (
        stand_in(bench.home) as internet,
        # A test compares a sandbox's metadata with what it gave, and nothing more.
        Emulator("--proxy", "--no-stamp", "--internet", str(internet)) as own,
    ):
        ended = run_child([str(python), str(program)], env=own.env, capture=True)
        if ended.interrupted:
            raise KeyboardInterrupt
        if ended.returncode:
            say(f"the template httpbin was not built: {ended.last_line}")
        say(f"an emulator, {bench.workers} workers")
        proxied = {"NODE_OPTIONS": f"--import={(bench.suite / _PROXY).as_uri()}"}
        return bench.run("emulator", {**own.proxy_env, **proxied})
