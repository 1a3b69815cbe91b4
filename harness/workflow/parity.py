"""The parity category: every case here and in a sandbox, compared, as one verdict.

Each case runs locally twice, to learn what differs by itself, and remotely once.
Whatever happens, the session ends in a verdict: also where the far end is dead,
where live was asked for without a key, and where a person ended it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, MutableMapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from harness.clock import Clock, SystemClock
from harness.errors import BrokenError, HarnessError, LeakError, UsageError
from harness.model.evidence import Evidence
from harness.model.outcome import Outcome
from harness.model.run import Json, PipelineCase
from harness.model.side import Endpoint
from harness.model.verdict import Check, Verdict
from harness.parity import CaseRun, ParityFindings, judge
from harness.parity.allowances import AllowanceFile, load_allowances
from harness.ports import Target
from harness.redaction.redact import Redactor
from harness.reports.session import write_session
from harness.settings import Settings
from harness.workflow.parity_endpoint import FarEnd, far_end, not_live, not_reached
from harness.workflow.parity_merge import SESSION, shard_details
from harness.workflow.parity_runs import CaseRunner
from harness.workflow.parity_shards import (
    Shard,
    cases_of_shard,
    known_durations,
    longest_first,
    read_durations,
    record_durations,
)
from harness.workflow.parity_workers import Orders, run_on_workers
from harness.workflow.run_folders import run_folder

__all__ = ["PRODUCT", "SESSION", "ParityOptions", "Watcher", "run_parity"]

PRODUCT = "osiris-pipeline"
Reach = Callable[[FarEnd, Target, Settings], AbstractContextManager[Endpoint]]
DURATIONS = "parity-durations.json"
JOBS = 3  # cases side by side; some of them only wait, so that two cores have enough to do


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityOptions:
    """What a parity run was asked for.

    Attributes:
        cases: what to run; the whole library where it is the same as `library`.
        library: every case that there is.
        far_end: what the remote side runs on.
        require: asked for and not run is a failure.
        accept: whether known divergences are accepted.
        allowances: the file of accepted divergences; the target's own where it is None.
        own_allowances: a further file, of cases outside of the library; what is accepted
            from now on goes there. None for no such cases.
        command: the beginning of a command that runs a case again, for the report.
        program: the end of that command, behind its options.
        product: what the file of allowances is about.
        jobs: how many cases run side by side in this process.
        workers: how many xdist workers run them instead; 0 for none.
        calibrate: how often the remote side of each case runs; more than once shows
            what is noise there.
        shard: which part of the cases to run; None for all of them.
        durations: the file of how long cases took; the usual one where it is None. What
            took longest is begun first; a whole run writes the file anew.
    """

    cases: tuple[PipelineCase, ...]
    library: tuple[PipelineCase, ...]
    far_end: FarEnd = FarEnd.EMULATOR
    require: bool = False
    accept: bool = True
    allowances: Path | None = None
    own_allowances: Path | None = None
    command: str = "harness parity run"
    program: str = ""
    product: str = PRODUCT
    jobs: int = JOBS
    workers: int = 0
    calibrate: int = 1
    shard: Shard | None = None
    durations: Path | None = None


class Watcher:
    """What a person sees while it runs; this one shows nothing."""

    def began(self, what: str) -> None:
        """A part of the preparation begins."""

    def finished(self, run: CaseRun, check: Check, *, done: int, total: int) -> None:
        """A case has been run and compared."""


@dataclass(slots=True, kw_only=True)
class _Session:
    """What is known of the session so far; `begun` are its cases in the order of their start."""

    settings: Settings
    target: Target
    options: ParityOptions
    begun: tuple[PipelineCase, ...]
    watcher: Watcher
    earlier: MutableMapping[str, Evidence] | None
    clock: Clock
    allowances: AllowanceFile
    redactor: Redactor
    run_id: str
    started_at: datetime
    started_s: float
    runs: dict[str, CaseRun] = field(default_factory=dict)
    trouble: list[Check] = field(default_factory=list)
    no_room: BrokenError | None = None
    interrupted: bool = False
    leak: bool = False


def run_parity(
    settings: Settings,
    target: Target,
    options: ParityOptions,
    *,
    watcher: Watcher | None = None,
    clock: Clock | None = None,
    reach: Reach = far_end,
    report: bool = True,
    earlier: MutableMapping[str, Evidence] | None = None,
) -> Verdict:
    """Runs and compares the cases, and writes the session's report.

    Args:
        settings: folders, key and flags.
        target: the system under test.
        options: what was asked for.
        watcher: is told how it goes.
        clock: the time.
        reach: opens the far end; it is closed, with every sandbox on it, when all is run.
        report: whether the report is written, and how long the cases took.
        earlier: see `CaseRunner`; only for cases that run in this process.

    Raises:
        UsageError: if the file of allowances or a setting is wrong.
        BrokenError: if the report, or anything at all, cannot be written.
    """
    clock = clock or SystemClock()
    durations = options.durations or settings.testing_env / DURATIONS
    selection = options.cases
    if options.shard is not None:
        mine = cases_of_shard(selection, options.shard, read_durations(durations))
        options = replace(options, cases=mine)
    session = _Session(
        settings=settings,
        target=target,
        options=options,
        begun=longest_first(options.cases, known_durations(durations)),
        watcher=watcher or Watcher(),
        earlier=earlier,
        clock=clock,
        allowances=_allowances(options, target),
        redactor=Redactor.of_process(root=settings.root, secrets=settings.secrets()),
        run_id=_new_run_id(clock),
        started_at=clock.now(),
        started_s=clock.monotonic_s(),
    )
    lacking = not_live(settings, options.far_end, require=options.require)
    if lacking is None:
        _compare_all(session, reach)
    else:
        session.trouble.append(lacking)
    verdict = _verdict(session)
    if options.shard is not None:
        verdict = _as_shard(session, options.shard, selection, verdict)
    if report:
        write_session(settings.reports, verdict)
        if options.shard is None:
            record_durations(durations, list(session.runs.values()))
    return verdict


def _allowances(options: ParityOptions, target: Target) -> AllowanceFile:
    def load(path: Path) -> AllowanceFile:
        return load_allowances(path, product=options.product, version=target.version)

    of_product = load(options.allowances or target.allowances_file())
    if options.own_allowances is None:
        return of_product
    return of_product.followed_by(load(options.own_allowances))


def _new_run_id(clock: Clock) -> str:
    """Sortable by time, unique, fit for a folder."""
    return f"parity-{clock.now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def _compare_all(session: _Session, reach: Reach) -> None:
    """Runs the cases; what keeps them from it becomes a check, so that the verdict says why."""
    try:
        session.watcher.began(f"{session.target.name} {session.target.version}")
        packages = len(session.target.template_packages())
        session.watcher.began(f"{session.options.far_end} with {packages} packages")
        with reach(session.options.far_end, session.target, session.settings) as endpoint:
            _run_cases(session, endpoint)
    except KeyboardInterrupt:
        session.interrupted = True
    except UsageError:
        raise
    except HarnessError as error:
        if session.no_room is error:
            raise
        session.leak = isinstance(error, LeakError)
        session.trouble.append(not_reached(error))


def _run_cases(session: _Session, endpoint: Endpoint) -> None:
    """All cases, some side by side; an interruption ends what runs, in order.

    Raises:
        KeyboardInterrupt: after everything that was started has ended.
        BrokenError: if the disk takes no more.
    """
    with ExitStack() as stack:
        try:
            runs = session.settings.testing_env / "runs"
            folder = stack.enter_context(run_folder(runs, session.run_id))
        except BrokenError as error:
            session.no_room = error
            raise
        _run_cases_in(folder, session, endpoint)


def _run_cases_in(folder: Path, session: _Session, endpoint: Endpoint) -> None:
    settings, options = session.settings, session.options
    if options.workers:
        _run_on_workers(session, endpoint, folder)
        return
    runner = CaseRunner(
        target=session.target,
        endpoint=endpoint,
        folder=folder,
        root=settings.root,
        mirror=settings.testing_env / "logs" / "remote",
        redactor=session.redactor,
        clock=session.clock,
        remote_runs=options.calibrate,
        earlier=session.earlier,
        templates=settings.testing_env / "templates",
    )
    with ThreadPoolExecutor(max_workers=options.jobs, thread_name_prefix="case") as pool:
        try:
            pending = {pool.submit(runner.run, case) for case in session.begun}
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    _take(session, future.result())
        except BaseException as error:
            if isinstance(error, BrokenError):
                session.no_room = error
            pool.shutdown(wait=False, cancel_futures=True)
            runner.abort()
            raise


def _run_on_workers(session: _Session, endpoint: Endpoint, folder: Path) -> None:
    options = session.options
    orders = Orders(
        settings=session.settings,
        target=session.target,
        endpoint=endpoint,
        folder=folder,
        cases={case.name: case for case in session.begun},
        remote_runs=options.calibrate,
    )
    try:
        run_on_workers(orders, workers=options.workers, take=lambda run: _take(session, run))
    except BrokenError as error:
        session.no_room = error
        raise


def _take(session: _Session, run: CaseRun) -> None:
    session.runs[run.comparison.pipeline] = run
    check = _judged(session, [run]).checks[0]
    total = len(session.options.cases)
    session.watcher.finished(run, check, done=len(session.runs), total=total)


def _judged(session: _Session, runs: Sequence[CaseRun]) -> ParityFindings:
    return judge(
        runs,
        session.allowances if session.options.accept else None,
        today=session.started_at.date(),
        library=[case.name for case in session.options.library],
    )


def _verdict(session: _Session) -> Verdict:
    options, today = session.options, session.started_at.date()
    order = [case.name for case in options.cases]
    findings = _judged(session, [session.runs[name] for name in order if name in session.runs])
    checks = [*session.trouble, *findings.checks]
    if session.interrupted:
        checks += [
            Check(name=name, outcome=Outcome.BROKEN, reason="interrupted before its end")
            for name in order
            if name not in session.runs
        ]
    details: dict[str, Json] = {
        "run_id": session.run_id,
        "target": {"name": session.target.name, "version": session.target.version},
        "product": options.product,
        "allowances_file": str(session.allowances.path),
        "allowances_files": [str(path) for path in session.allowances.paths],
        "accepting": options.accept,
        **findings.to_json(command=options.command, program=options.program, today=today),
    }
    redact = session.redactor
    return Verdict(
        session=SESSION,
        endpoint=options.far_end.value,
        started_at=session.started_at,
        duration_s=session.clock.monotonic_s() - session.started_s,
        checks=tuple(replace(check, reason=redact.text(check.reason)) for check in checks),
        leak=session.leak,
        interrupted=session.interrupted,
        details={key: redact.json(value) for key, value in details.items()},
    )


def _as_shard(
    session: _Session, shard: Shard, selection: Sequence[PipelineCase], verdict: Verdict
) -> Verdict:
    """The verdict with all that merging needs, under a name of its own."""
    options = session.options
    details = shard_details(
        shard,
        cases=[case.name for case in options.cases],
        selection=[case.name for case in selection],
        library=[case.name for case in options.library],
        runs=list(session.runs.values()),
        allowances=session.allowances,
        command=options.command,
    )
    whole: dict[str, Json] = {**verdict.details, "shard": session.redactor.json(details)}
    return replace(verdict, session=shard.session, details=whole)
