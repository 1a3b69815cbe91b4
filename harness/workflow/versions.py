"""The same contract over many versions of E2B's SDKs, against one emulator.

Each version has an environment of its own, and its tests know nothing of the harness:
they are handed the service's variables, as any program would be.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib.resources import files
from pathlib import Path

from packaging.version import Version

from harness.clock import Clock, SystemClock
from harness.emulator.attach import Emulator
from harness.errors import BrokenError, UsageError
from harness.model.outcome import Outcome
from harness.model.verdict import Check, Verdict
from harness.reports.session import write_session
from harness.settings import Settings
from harness.targets.osiris.environment import DEFAULT_SDK
from harness.workflow.client_environments import NEWEST, ensure_client, installed_version, pinned
from harness.workflow.conformance_recorder import RECORD_VARIABLE
from harness.workflow.conformance_results import TestResult, read_results
from harness.workflow.processes import run_child

__all__ = ["MATRIX", "Client", "Language", "Row", "chosen", "run_versions"]

SESSION = "versions"
FIRST_WITH_SANDBOX_URL = Version("2.20")
TEST_REQUIREMENTS = ("pytest>=9", "pytest-timeout>=2.4", "httpx>=0.28")
NPM_TIMEOUT_S = 300.0
_SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin"
_INI = "[pytest]\ntimeout = 60\naddopts = --import-mode=importlib -p no:cacheprovider\n"


class Language(StrEnum):
    """Whose SDK."""

    PYTHON = "python"
    JAVASCRIPT = "js"
    INTERPRETER = "code-interpreter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One version of one SDK.

    Attributes:
        language: whose.
        version: such as "2.45.1", or "newest".
    """

    language: Language
    version: str

    @property
    def name(self) -> str:
        """As a person names it: "python-2.45.1"."""
        return f"{self.language}-{self.version}"

    @property
    def only_public_names(self) -> bool:
        """Whether it is too old for E2B_SANDBOX_URL, so that only a proxy leads to sandboxes.

        Source: e2b 2.4.2 and 2.20.0 e2b/connection_config.py.
        """
        if self.language is not Language.PYTHON or self.version == NEWEST:
            return False
        return Version(self.version) < FIRST_WITH_SANDBOX_URL


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """How a client fared.

    Attributes:
        client: which.
        installed: the version that was really there.
        checks: one a test.
    """

    client: Client
    installed: str
    checks: tuple[Check, ...]

    def count(self, outcome: Outcome) -> int:
        """How many of its tests came out so."""
        return sum(check.outcome is outcome for check in self.checks)


# Each is the last before, or the first after, a change on the wire.
MATRIX = (
    *(
        Client(language=Language.PYTHON, version=version)
        for version in ("2.4.2", "2.20.0", "2.45.1", "2.51.0", "2.57.0", "2.63.0", NEWEST)
    ),
    *(
        Client(language=Language.JAVASCRIPT, version=version)
        for version in ("2.4.2", "2.20.0", "2.45.0", "2.51.0", NEWEST)
    ),
    Client(language=Language.INTERPRETER, version=DEFAULT_SDK.partition("==")[2]),
)


def chosen(names: Sequence[str]) -> tuple[Client, ...]:
    """The clients of these names; all of the matrix where there is none.

    A version outside of the matrix may be named too: "python-2.60.0".

    Raises:
        UsageError: if a name is not a language and a version.
    """
    if not names:
        return MATRIX
    languages = "|".join(Language)
    found = []
    for name in names:
        match = re.fullmatch(rf"({languages})-(newest|\d[0-9A-Za-z.]*)", name)
        if match is None:
            raise UsageError(
                f"not a client: {name!r}",
                expected=f"a language ({', '.join(Language)}) and a version: python-2.45.1",
                next_step="harness versions run --only python-newest",
            )
        found.append(Client(language=Language(match[1]), version=match[2]))
    return tuple(found)


def run_versions(
    clients: Sequence[Client],
    settings: Settings,
    *,
    say: Callable[[str], None],
    clock: Clock | None = None,
) -> tuple[Verdict, tuple[Row, ...]]:
    """Runs the contract with each client and writes the session's report.

    Raises:
        UsageError: if a version does not exist, or the contract is not in this project.
        BrokenError: if the emulator does not start.
    """
    clock = clock or SystemClock()
    started_at, started_s = clock.now(), clock.monotonic_s()
    rows = []
    for client in clients:
        say(f"{client.name} …")
        run = _run_js if client.language is Language.JAVASCRIPT else _run_python
        with (
            _emulator(client, settings) as emulator,
            tempfile.TemporaryDirectory(prefix="harness-versions-") as folder,
        ):
            env = emulator.proxy_env if client.only_public_names else emulator.env
            rows.append(run(client, settings, Path(folder), env))
    verdict = Verdict(
        session=SESSION,
        endpoint="emulator",
        started_at=started_at,
        duration_s=clock.monotonic_s() - started_s,
        checks=tuple(
            replace(check, name=f"{row.client.name}::{check.name}")
            for row in rows
            for check in row.checks
        ),
        details={row.client.name: row.installed for row in rows},
    )
    write_session(settings.reports, verdict)
    return verdict, tuple(rows)


def _emulator(client: Client, settings: Settings) -> Emulator:
    if client.language is not Language.INTERPRETER:
        return Emulator("--proxy")
    templates = settings.testing_env / "templates"
    return Emulator("--proxy", "--interpreter", template_dir=templates)


def _run_python(client: Client, settings: Settings, place: Path, env: dict[str, str]) -> Row:
    package = "e2b" if client.language is Language.PYTHON else "e2b-code-interpreter"
    requirement = pinned(package, client.version)
    python = ensure_client(
        settings.testing_env / "clients",
        requirement.replace("==", "-"),
        [requirement, *TEST_REQUIREMENTS],
    )
    contract = place / "contract"
    shutil.copytree(
        _contract(settings, "contract_python"),
        contract,
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    (contract / "pytest.ini").write_text(_INI, encoding="utf-8")
    plugin = files("harness.workflow").joinpath("conformance_recorder.py")
    (place / "conformance_recorder.py").write_bytes(plugin.read_bytes())
    record = place / "record.jsonl"
    ended = run_child(
        [str(python), "-m", "pytest", "-q", "--tb=short", "-p", "conformance_recorder"],
        env={
            **_environment(place, f"{python.parent}:{_SEARCH_PATH}"),
            **env,
            "PYTHONPATH": str(place),
            "CONTRACT_INTERPRETER": str(int(client.language is Language.INTERPRETER)),
            RECORD_VARIABLE: str(record),
        },
        cwd=contract,
        capture=True,
    )
    if ended.interrupted:
        raise KeyboardInterrupt
    results = read_results(record)
    installed = installed_version(python, package)
    if package != "e2b":
        installed += f" (e2b {installed_version(python, 'e2b')})"
    return Row(client=client, installed=installed, checks=_checks(results, ended.output))


def _run_js(client: Client, settings: Settings, place: Path, env: dict[str, str]) -> Row:
    script = _contract(settings, "contract_js") / "contract.mjs"
    folder = _npm_environment(settings, client.version)
    if isinstance(folder, str):
        check = Check(name="npm", outcome=Outcome.NOT_RUN, reason=folder)
        return Row(client=client, installed="", checks=(check,))
    manifest = (folder / "node_modules" / "e2b" / "package.json").read_text(encoding="utf-8")
    ended = run_child(
        [_node(), str(script)],
        env={**_environment(place, f"{Path(_node()).parent}:{_SEARCH_PATH}"), **env},
        cwd=folder,
        capture=True,
    )
    if ended.interrupted:
        raise KeyboardInterrupt
    results = {}
    for line in ended.output.splitlines():
        if line.startswith("{"):
            row = TestResult(**json.loads(line))
            results[row.nodeid] = row
    checks = _checks(results, ended.output)
    if ended.returncode != 0 and results:
        reason = f"node ended with exit code {ended.returncode}: {_last_line(ended.output)}"
        checks += (Check(name="node", outcome=Outcome.BROKEN, reason=reason),)
    return Row(client=client, installed=str(json.loads(manifest)["version"]), checks=checks)


def _npm_environment(settings: Settings, version: str) -> Path | str:
    """The folder where npm installed that version, or why it could not."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return "node and npm are not installed: install Node.js 20 or newer"
    home = settings.testing_env / "clients" / f"js-{version}"
    if version != NEWEST and (home / "node_modules" / "e2b" / "package.json").is_file():
        return home
    home.mkdir(parents=True, exist_ok=True)
    wanted = "e2b@latest" if version == NEWEST else f"e2b@{version}"
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(home)]
    try:
        finished = subprocess.run(
            [*command, wanted],
            check=False,
            capture_output=True,
            text=True,
            timeout=NPM_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return f"npm did not install {wanted} within {NPM_TIMEOUT_S:g} s"
    if finished.returncode != 0:
        return f"npm did not install {wanted}: {_last_line(finished.stderr)}"
    return home


def _node() -> str:
    found = shutil.which("node")
    if found is None:
        raise BrokenError(
            "node has gone from PATH",
            expected="node beside npm",
            next_step="install Node.js 20 or newer",
        )
    return found


def _checks(results: dict[str, TestResult], output: str) -> tuple[Check, ...]:
    if not results:
        reason = f"the contract reported nothing: {_last_line(output)}"
        return (Check(name="contract", outcome=Outcome.BROKEN, reason=reason),)
    outcomes = {"passed": Outcome.PASSED, "skipped": Outcome.NOT_RUN}
    return tuple(
        Check(
            name=result.nodeid.rpartition("::")[2],
            outcome=outcomes.get(result.outcome, Outcome.FAILED),
            reason=_reason(result),
            duration_s=result.duration_s,
        )
        for result in results.values()
    )


def _reason(result: TestResult) -> str:
    marked = [line[1:].strip() for line in result.text.splitlines() if line.startswith("E  ")]
    first = (marked or result.text.splitlines() or [""])[0]
    return first.removeprefix("Skipped: ")


def _contract(settings: Settings, name: str) -> Path:
    folder = settings.root / "tests" / name
    if not folder.is_dir():
        raise UsageError(
            f"no contract at {folder}",
            expected="a checkout of this project; the installed package does not hold its tests",
            next_step="run it in the project's folder",
        )
    return folder


def _environment(home: Path, path: str) -> dict[str, str]:
    return {"PATH": path, "HOME": str(home), "LANG": os.environ.get("LANG", "C.UTF-8")}


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"
