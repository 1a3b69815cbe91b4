"""Is this machine ready, and are the settings? Each question is one check.

What is missing for offline work is FAILED with what to do; what is missing for live
work only is NOT_RUN with the words that users know.
"""

from __future__ import annotations

import asyncio
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from harness.clock import Clock, SystemClock
from harness.emulator.isolation import IsolationMode, SandboxHost
from harness.emulator.isolation.losses import losses
from harness.errors import HarnessError
from harness.model.outcome import Outcome
from harness.model.verdict import Check, Verdict
from harness.orphans import key_fingerprint
from harness.sdk import ApiEndpoint, ApiSandboxDirectory
from harness.settings import Settings

__all__ = ["examine"]

FREE_SPACE_BYTES = 3 * 1024**3  # the product's environment, the template and a run
OLDEST_PYTHON = (3, 11)


def examine(root: Path, *, live: bool = False, clock: Clock | None = None) -> Verdict:
    """Looks at the machine and at the settings; starts one sandbox, and ends it.

    Args:
        root: the project folder.
        live: ask the real service whether it knows the key.
        clock: for the verdict's times.
    """
    clock = clock or SystemClock()
    started_at, started_s = clock.now(), clock.monotonic_s()
    checks = tuple(_checks(root, live=live))
    return Verdict(
        session="doctor",
        endpoint="live" if live else "none",
        started_at=started_at,
        duration_s=clock.monotonic_s() - started_s,
        checks=checks,
    )


def _checks(root: Path, *, live: bool) -> Iterator[Check]:
    yield _check("python", _python)
    yield _check("system", _system)
    yield _check("git", lambda: _program("git", "git"))
    yield _check("uv", lambda: _program("uv", "uv (it comes with the harness: run through nox)"))
    yield _check("testing_env", lambda: _writable(root / "testing_env"))
    yield _check("sandboxes", _sandboxes)
    try:
        settings = Settings.load(root=root)
    except HarnessError as error:
        yield Check(name="settings", outcome=Outcome.FAILED, reason=str(error))
        return
    yield _check("settings", lambda: _settings(settings))
    yield _live(settings, ask=live)


class _Unfit(Exception):  # noqa: N818 - a finding, not a fault of the harness
    """A check did not pass; the text says why and what to do."""


def _check(name: str, question: Callable[[], str]) -> Check:
    try:
        return Check(name=name, outcome=Outcome.PASSED, reason=question())
    except (_Unfit, HarnessError) as error:
        return Check(name=name, outcome=Outcome.FAILED, reason=str(error))


def _python() -> str:
    if sys.version_info < OLDEST_PYTHON:
        raise _Unfit(f"Python {platform.python_version()}; expected 3.11 or newer")
    return f"{platform.python_version()} ({sys.executable})"


def _system() -> str:
    if sys.platform != "linux":
        raise _Unfit(
            f"{platform.system()}: sandboxes need Linux; use a virtual machine or a container"
        )
    return f"{platform.system()} {platform.release()}"


def _program(name: str, wanted: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise _Unfit(f"no {name} on PATH; expected {wanted}")
    return path


def _writable(folder: Path) -> str:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        raise _Unfit(f"{folder} cannot be written to: {error.strerror}") from error
    free = shutil.disk_usage(folder).free
    if free < FREE_SPACE_BYTES:
        raise _Unfit(f"{free / 1024**3:.1f} GiB free in {folder}; expected at least 3 GiB")
    return f"{folder}, {free / 1024**3:.0f} GiB free"


def _sandboxes() -> str:
    async def start_one(folder: Path) -> str:
        async with SandboxHost(folder, pool_size=0) as host:
            sandbox = await host.start("idoctor0000000000000")
            answer = await sandbox.call("ping")
            return f"a sandbox starts and answers (its agent is process {answer['pid']} there)"

    with tempfile.TemporaryDirectory(prefix="harness-doctor-") as folder:
        try:
            started = asyncio.run(start_one(Path(folder)))
        except HarnessError as error:
            lost = losses(IsolationMode.PROCESS)
            raise _Unfit(_with_losses(f"{error}\nlost with --isolation process:", lost)) from error
    lost = losses()
    return _with_losses(f"{started}; lost without root's rights:", lost) if lost else started


def _with_losses(text: str, lost: Sequence[str]) -> str:
    return "\n".join([text, *(f"- {loss}" for loss in lost)])


def _settings(settings: Settings) -> str:
    if settings.e2b_debug:
        raise _Unfit(
            "E2B_DEBUG is on: the SDK then acknowledges a kill without sending it; unset E2B_DEBUG"
        )
    file = settings.testing_env / ".env"
    origin = f"environment and {file}" if file.is_file() else "environment (no testing_env/.env)"
    names = ", ".join(secret.name for secret in settings.secrets()) or "none"
    return f"{origin}; secrets set: {names}"


def _live(settings: Settings, *, ask: bool) -> Check:
    reason = settings.why_not_live()
    if reason is not None or settings.e2b_api_key is None:
        return Check(name="live", outcome=Outcome.NOT_RUN, reason=reason or "")
    try:
        fingerprint = key_fingerprint(ApiEndpoint.from_settings(settings))
    except HarnessError as error:
        return Check(name="live", outcome=Outcome.FAILED, reason=str(error))
    known = f"key {fingerprint} is set, live tests are enabled"
    if not ask:
        return Check(name="live", outcome=Outcome.PASSED, reason=f"{known} (ask with --live)")
    return _check("live", lambda: _ask_service(settings, known))


def _ask_service(settings: Settings, known: str) -> str:
    endpoint = ApiEndpoint.from_settings(settings)
    with ApiSandboxDirectory(endpoint) as directory:
        return f"{known}; the service lists {len(directory.list())} sandboxes"
