"""Runs the contract with one client: in an environment of its own, pointed at an emulator.

The contract knows nothing of the harness: it is handed the service's variables, as any
program would be.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from harness.emulator.attach import Emulator
from harness.errors import BrokenError, UsageError
from harness.model.outcome import Outcome
from harness.model.verdict import Check
from harness.settings import Settings
from harness.workflow.client_environments import NEWEST, ensure_client, installed_version, pinned
from harness.workflow.conformance_recorder import RECORD_VARIABLE
from harness.workflow.conformance_results import TestResult, read_results
from harness.workflow.npm_packages import install_npm_packages
from harness.workflow.processes import Ended, run_child
from harness.workflow.versions_matrix import Attach, Client, Language

__all__ = ["Ran", "run_contract"]

TEST_REQUIREMENTS = ("pytest>=9", "pytest-timeout>=2.4", "httpx>=0.28")
PROXY_AGENT = "undici@6"
_RECORDER, _PROXY = "conformance_recorder", "versions_proxy"
_SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin"
_INI = "[pytest]\ntimeout = 60\naddopts = --import-mode=importlib -p no:cacheprovider\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What came of the contract with one client.

    Attributes:
        installed: the version that was really there.
        checks: one a test.
    """

    installed: str
    checks: tuple[Check, ...]


def run_contract(client: Client, settings: Settings, emulator: Emulator) -> Ran:
    """Runs the contract.

    Args:
        client: with which SDK.
        settings: where the contract and the environments lie.
        emulator: a fresh one, with a proxy.

    Raises:
        UsageError: the version does not exist, or the contract is not in this project.
        BrokenError: the environment cannot be built.
        KeyboardInterrupt: somebody asked for an end.
    """
    env = emulator.env if client.attached_by is Attach.VARIABLES else emulator.proxy_env
    run = _run_js if client.language is Language.JAVASCRIPT else _run_python
    with tempfile.TemporaryDirectory(prefix="harness-versions-") as folder:
        return run(client, settings, Path(folder), env)


def _run_python(client: Client, settings: Settings, place: Path, env: Mapping[str, str]) -> Ran:
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
    plugins = [_RECORDER, *([_PROXY] if client.attached_by is Attach.PROXY_OPTION else [])]
    for plugin in plugins:
        source = files("harness.workflow").joinpath(f"{plugin}.py")
        (place / f"{plugin}.py").write_bytes(source.read_bytes())
    record = place / "record.jsonl"
    words = [word for plugin in plugins for word in ("-p", plugin)]
    ended = run_child(
        [str(python), "-m", "pytest", "-q", "--tb=short", *words],
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
    installed = installed_version(python, package)
    if package != "e2b":
        installed += f" (e2b {installed_version(python, 'e2b')})"
    return Ran(installed=installed, checks=_checks(read_results(record), ended))


def _run_js(client: Client, settings: Settings, place: Path, env: Mapping[str, str]) -> Ran:
    script = _contract(settings, "contract_js") / "contract.mjs"
    by_agent = client.attached_by is Attach.PROXY_AGENT
    folder = npm_environment(settings, client.version, [PROXY_AGENT] if by_agent else [])
    if isinstance(folder, str):
        check = Check(name="npm", outcome=Outcome.NOT_RUN, reason=folder)
        return Ran(installed="", checks=(check,))
    words: list[str] = []
    if by_agent:
        source = files("harness.workflow").joinpath(f"{_PROXY}.mjs")
        (folder / f"{_PROXY}.mjs").write_bytes(source.read_bytes())
        words = ["--import", (folder / f"{_PROXY}.mjs").as_uri()]
    manifest = (folder / "node_modules" / "e2b" / "package.json").read_text(encoding="utf-8")
    ended = run_child(
        [_node(), *words, str(script)],
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
    checks = _checks(results, ended)
    if ended.returncode != 0 and results:
        reason = f"node ended with exit code {ended.returncode}: {ended.last_line}"
        checks += (Check(name="node", outcome=Outcome.BROKEN, reason=reason),)
    return Ran(installed=str(json.loads(manifest)["version"]), checks=checks)


def npm_environment(settings: Settings, version: str, beside: Sequence[str] = ()) -> Path | str:
    """The folder where npm installed that version, or why it could not."""
    name = "-".join(("js", version, *(item.replace("@", "-") for item in beside)))
    home = settings.testing_env / "clients" / name
    newest = version == NEWEST
    wanted = "e2b@latest" if newest else f"e2b@{version}"
    return install_npm_packages(home, [wanted, *beside], renewed=newest) or home


def _node() -> str:
    found = shutil.which("node")
    if found is None:
        raise BrokenError(
            "node has gone from PATH",
            expected="node beside npm",
            next_step="install Node.js 20 or newer",
        )
    return found


def _checks(results: dict[str, TestResult], ended: Ended) -> tuple[Check, ...]:
    if not results:
        reason = f"the contract reported nothing: {ended.last_line}"
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
