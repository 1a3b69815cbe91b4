"""Trials of the reaper: real programs, ended in every way at every point of their work.

A program runs against a gateway, the gateway and the sandboxes are reached over a wire,
and behind it is an emulator that stamps nothing, as the real service. At one request
the program is killed, interrupted, made to fail, or cut off; or the gateway is killed.
Then nothing of the run may be left, and a bystander's sandbox must be.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from cut_wire import CutWire, Moment, Point, Weather

from harness.clock import SystemClock
from harness.emulator.attach import Emulator
from harness.errors import HarnessError
from harness.gateway import Gateway
from harness.model.run import ExecutionContext
from harness.model.side import Endpoint
from harness.orphans import Rules, Sweeper, read_ledgers
from harness.peers import process_of
from harness.sdk import ApiEndpoint, ApiSandboxDirectory
from harness.settings import Settings
from harness.targets.osiris import OsirisTarget
from harness.targets.osiris.project import PIPELINE_FILE, Project, child_environment

PYTHON_SCRIPT = """
import os
from e2b import Sandbox
sandbox = Sandbox.create(timeout=600)
sandbox.files.write("in.txt", "one")
for number in range(3):
    sandbox.commands.run(f"cat in.txt; echo {number} >> out.txt")
sandbox.set_timeout(500)
assert sandbox.files.read("out.txt")
second = Sandbox.create(timeout=600)
second.commands.run("true")
second.kill()
sandbox.kill()
"""
JAVASCRIPT = """
import { Sandbox } from 'e2b'
const sandbox = await Sandbox.create({ timeoutMs: 600_000 })
await sandbox.files.write('in.txt', 'one')
for (const number of [0, 1, 2]) await sandbox.commands.run(`cat in.txt; echo ${number} >> out.txt`)
await sandbox.setTimeout(500_000)
if (!(await sandbox.files.read('out.txt'))) throw new Error('nothing was read')
const second = await Sandbox.create({ timeoutMs: 600_000 })
await second.commands.run('true')
await second.kill()
await sandbox.kill()
"""

_WEIGHTY = re.compile(r"POST /(v2/)?sandboxes$|DELETE /")
OWNER_GRACE_S = 0.3
GONE_S = 60.0  # how long the reaper has
CLIENT_S = 60.0  # how long a program that was only interrupted or cut off may go on
DOWN_S = 2.0
POLL_S = 0.05


class Way(StrEnum):
    """How a program, or the gateway, is ended."""

    KILL = "kill -9"
    TERM = "SIGTERM"
    INT = "SIGINT"
    EXCEPTION = "exception"
    NETWORK = "lost network"
    GATEWAY = "gateway kill -9"


_SIGNALS = {Way.KILL: signal.SIGKILL, Way.TERM: signal.SIGTERM, Way.INT: signal.SIGINT}
_WEATHER = {Way.EXCEPTION: Weather.FAILURE, Way.NETWORK: Weather.DOWN}


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program that creates sandboxes.

    Attributes:
        name: for the table.
        argv: what to run.
        env: its environment, but for the endpoint's variables.
        folder: copied for each trial; the program's working directory.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    folder: Path


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What is to happen."""

    program: Program
    way: Way
    point: Point | None


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of it.

    Attributes:
        trial: what was to happen.
        request: the request at which it happened; empty where the program had ended before.
        created: how many sandboxes the program had.
        left: ids that were alive at the end: must be none.
        bystander: whether the sandbox of somebody else was: must be.
        gone_s: from the end of the program until its last sandbox was gone.
        exit_code: the program's.
    """

    trial: Trial
    request: str
    created: int
    left: tuple[str, ...]
    bystander: bool
    gone_s: float
    exit_code: int | None

    @property
    def passed(self) -> bool:
        """Nothing is left, and a program that failed by itself proves nothing."""
        worked = bool(self.request) or self.exit_code == 0
        return worked and not self.left and self.bystander


def python_program(target: OsirisTarget, folder: Path) -> Program:
    """A plain script of the Python SDK, in the product's environment."""
    folder.mkdir(parents=True)
    (folder / "script.py").write_text(PYTHON_SCRIPT)
    python = target.environment().python
    env = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    return Program(name="python", argv=(str(python), "script.py"), env=env, folder=folder)


def javascript_program(node_modules: Path, folder: Path) -> Program:
    """A plain script of the JavaScript SDK, which is in `node_modules`."""
    folder.mkdir(parents=True)
    (folder / "script.mjs").write_text(JAVASCRIPT)
    (folder / "node_modules").symlink_to(node_modules.resolve())
    env = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    return Program(name="javascript", argv=("node", "script.mjs"), env=env, folder=folder)


def osiris_program(target: OsirisTarget, settings: Settings, folder: Path) -> Program:
    """A real `osiris run --e2b`."""
    case = target.case("small_pipeline")
    context = ExecutionContext(
        session_id="trials", base_path=folder, started_at=SystemClock().now()
    )
    project = Project.create(case, context)
    environment = target.environment()
    env = child_environment(
        environment=environment, project=project, case=case, settings=settings, endpoint=None
    )
    argv = (str(environment.osiris), "run", PIPELINE_FILE, "--e2b", "--timeout", "300")
    return Program(name="osiris run --e2b", argv=argv, env=env, folder=project.folder)


class Bench:
    """One emulator, a bystander's sandbox in it, and gateways before it."""

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        self._emulator = emulator
        self._folder = folder
        self._port = int(emulator.env["E2B_API_URL"].rpartition(":")[2])
        self._stack = ExitStack()
        self._gateway: Gateway | None = None
        self._trials = 0
        self._wire = self._stack.enter_context(CutWire(self._port))
        self._bystander = _create(emulator)

    def close(self) -> None:
        if self._gateway is not None:
            self._gateway.stop()
        self._stack.close()

    def requests_of(self, program: Program) -> list[str]:
        """What the program asks for when nothing happens to it."""
        result = self.run(Trial(program=program, way=Way.KILL, point=None))
        if result.exit_code != 0 or not result.created:
            raise AssertionError(f"{program.name} does not work by itself: {result}")
        return list(self._wire.requests)

    def run(self, trial: Trial) -> Result:
        """Runs one trial."""
        gateway = self._ready_gateway()
        before = {str(row["sandbox_id"]) for row in self._rows(gateway.run_id)}
        earlier = {str(row["sandbox_id"]) for row in self._emulator.sandboxes()}
        happened: list[str] = []
        happening = threading.Event()
        self._trials += 1
        folder = self._folder / f"trial-{self._trials}"
        shutil.copytree(trial.program.folder, folder, symlinks=True)
        _move(trial.program.folder, folder)
        with _started(trial.program, gateway.endpoint, folder) as process:

            def on_point() -> None:
                happened.append(self._wire.requests[-1])
                if trial.way is Way.GATEWAY:
                    os.kill(gateway.pid, signal.SIGKILL)
                elif trial.way in _SIGNALS:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, _SIGNALS[trial.way])
                happening.set()

            # Its first request is yet to come: starting takes longer than this.
            weather = _WEATHER.get(trial.way, Weather.FAIR)
            self._wire.arm(trial.point, weather, on_point, earlier=earlier)
            if trial.way in {Way.NETWORK, Way.GATEWAY} and _happens(happening, process):
                time.sleep(DOWN_S if trial.way is Way.NETWORK else 0)
                self._wire.disarm()
            exit_code = _end(process, CLIENT_S if trial.way is not Way.GATEWAY else 10.0)
            if not happened:  # nor is it to happen to the gateway's own requests
                self._wire.disarm()
        assert self._wire.wait_answered(GONE_S), "the service did not answer what was let through"
        begun = time.monotonic()
        if trial.way is Way.GATEWAY and happened:
            self._drop_gateway()
            self._sweep(gateway.run_id)
        left = self._wait_until_gone(gateway.run_id, before)
        self._wire.disarm()
        rows = self._rows(gateway.run_id)
        shutil.rmtree(folder, ignore_errors=True)
        return Result(
            trial=trial,
            request=happened[0] if happened else "",
            created=len({row["sandbox_id"] for row in rows} - before),
            left=left,
            bystander=self._bystander in {one["sandbox_id"] for one in self._alive()},
            gone_s=time.monotonic() - begun,
            exit_code=exit_code,
        )

    def _ready_gateway(self) -> Gateway:
        if self._gateway is not None and not process_of(self._gateway.pid).alive:
            self._drop_gateway()  # it was struck after its trial
        if self._gateway is None:
            env = {
                "E2B_API_URL": self._wire.url,
                "E2B_SANDBOX_URL": self._wire.url,
                "E2B_API_KEY": self._emulator.env["E2B_API_KEY"],
            }
            self._gateway = Gateway(
                upstream=Endpoint(name="wire", env=env),
                state_dir=self._folder / "gateway",
                grace_s=0.3,
                owner_grace_s=OWNER_GRACE_S,
            )
            self._gateway.start()
        return self._gateway

    def _drop_gateway(self) -> None:
        gateway, self._gateway = self._gateway, None
        if gateway is not None:
            with suppress(HarnessError):  # it was killed, and says so
                gateway.stop()

    def _sweep(self, run_id: str) -> None:
        """Sweeps as often as it takes until the sandboxes are a second old, and no more."""
        endpoint = ApiEndpoint.from_env(self._emulator.env)
        deadline = time.monotonic() + GONE_S
        with ApiSandboxDirectory(endpoint) as directory:
            sweeper = Sweeper(
                directory,
                rules=Rules(grace=timedelta(0)),
                ledger=read_ledgers(self._folder / "gateway"),
            )
            while time.monotonic() < deadline:
                sweeper.sweep(force=True)
                if all(row["state"] == "killed" for row in self._rows(run_id)):
                    return
                time.sleep(POLL_S)

    def _rows(self, run_id: str) -> list[dict[str, object]]:
        rows = self._emulator.sandboxes()
        return [row for row in rows if row["metadata"].get("harness_run") == run_id]

    def _alive(self) -> list[dict[str, object]]:
        return [row for row in self._emulator.sandboxes() if row["state"] != "killed"]

    def _wait_until_gone(self, run_id: str, before: AbstractSet[object]) -> tuple[str, ...]:
        deadline = time.monotonic() + GONE_S
        while True:
            left = tuple(
                str(row["sandbox_id"])
                for row in self._rows(run_id)
                if row["state"] != "killed" and row["sandbox_id"] not in before
            )
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(POLL_S)


def points(requests: Sequence[str], count: int) -> list[Point]:
    """So many points: before each create and kill, and during their answers, then evenly spread."""
    every = [
        Point(number=number, moment=moment)
        for number in range(1, len(requests) + 1)
        for moment in Moment
    ]
    if count >= len(every):
        return every
    weighty = [point for point in every if _WEIGHTY.match(requests[point.number - 1])][:count]
    others = [point for point in every if point not in weighty]
    wanted = count - len(weighty)
    spread = {others[index * (len(others) - 1) // max(1, wanted - 1)] for index in range(wanted)}
    return [point for point in every if point in spread or point in weighty]


def table(results: Sequence[Result]) -> str:
    """Passed of all trials, by program and way."""
    programs = sorted({result.trial.program.name for result in results})
    lines = ["| program | way | trials | passed | sandboxes | longest until gone |"]
    lines.append("|---|---|---|---|---|---|")
    for name in programs:
        for way in Way:
            rows = [r for r in results if r.trial.program.name == name and r.trial.way is way]
            if rows:
                lines.append(
                    f"| {name} | {way} | {len(rows)} | {sum(r.passed for r in rows)} "
                    f"| {sum(r.created for r in rows)} | {max(r.gone_s for r in rows):.1f} s |"
                )
    passed = sum(result.passed for result in results)
    created = sum(result.created for result in results)
    lines.append(f"| all | | {len(results)} | {passed} | {created} | |")
    return "\n".join(lines)


@contextmanager
def _started(
    program: Program, endpoint: Endpoint, folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    env = {**program.env, **endpoint.env}
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            program.argv,
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _happens(happening: threading.Event, process: subprocess.Popen[bytes]) -> bool:
    """Whether it happens before the program ends."""
    while process.poll() is None:
        if happening.wait(POLL_S):
            return True
    return happening.is_set()


def _move(original: Path, folder: Path) -> None:
    """Osiris's configuration names its folder; each trial has one of its own."""
    configuration = folder / "osiris.yaml"
    if configuration.is_file():
        text = configuration.read_text()
        configuration.write_text(text.replace(str(original), str(folder)))


def _end(process: subprocess.Popen[bytes], patience_s: float) -> int | None:
    """The program's exit code; None where it had to be killed."""
    try:
        return process.wait(patience_s)
    except subprocess.TimeoutExpired:
        return None


def _create(emulator: Emulator) -> str:
    import httpx  # noqa: PLC0415 - only here

    answer = httpx.post(
        f"{emulator.env['E2B_API_URL']}/v2/sandboxes",
        json={"templateID": "base", "timeout": 86400, "metadata": {"owner": "somebody else"}},
        headers={"X-API-Key": emulator.env["E2B_API_KEY"]},
        trust_env=False,
        timeout=60,
    )
    answer.raise_for_status()
    return str(answer.json()["sandboxID"])
