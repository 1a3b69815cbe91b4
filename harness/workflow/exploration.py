"""Exploration: parity over pipelines that nobody wrote, each divergence shrunk once.

Pipelines are drawn from a seed and run once here and once in a sandbox. What differs
is told apart by its cause, so that the same divergence in a hundred pipelines is one
find; each is made smaller, run again in full (two local runs show whether it was
noise), and kept as a case file. An interrupted exploration keeps what it has.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from harness.clock import Clock, SystemClock
from harness.errors import HarnessError, LeakError, UsageError
from harness.model.difference import Allowance, Difference
from harness.model.outcome import Outcome
from harness.model.run import Json
from harness.model.side import Endpoint
from harness.model.verdict import Check, Verdict
from harness.parity.acceptance import matches
from harness.parity.allowances import load_allowances
from harness.parity.shrinking import fault_of, shrink
from harness.ports import Explorable, Sketch, Target
from harness.redaction.redact import Redactor
from harness.reports.session import write_session
from harness.settings import Settings
from harness.workflow.evaluations import Evaluations, Shown
from harness.workflow.explored_cases import CaseFolder, Find, name_of
from harness.workflow.parity import PRODUCT
from harness.workflow.parity_endpoint import FarEnd, far_end, not_live, not_reached
from harness.workflow.parity_runs import CaseRunner
from harness.workflow.run_folders import run_folder

__all__ = ["EXPLORATION", "ExplorationOptions", "ExplorationWatcher", "run_exploration"]

EXPLORATION = "parity-exploration"
JOBS = 2
MOST_RUNS = 40
Reach = Callable[[FarEnd, Target, Settings], AbstractContextManager[Endpoint]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplorationOptions:
    """What an exploration was asked for.

    Attributes:
        examples: how many pipelines are drawn.
        seed: where the drawing begins.
        far_end: what the remote side runs on.
        require: asked for and not run is a failure.
        accept: whether a find that the library's allowances know is no failure.
        allowances: the file of known divergences; the target's own where it is None.
        product: what that file is about.
        jobs: how many pipelines run side by side.
        most_runs: how many runs the shrinking of one find may cost.
    """

    examples: int
    seed: int
    far_end: FarEnd = FarEnd.EMULATOR
    require: bool = False
    accept: bool = True
    allowances: Path | None = None
    product: str = PRODUCT
    jobs: int = JOBS
    most_runs: int = MOST_RUNS


class ExplorationWatcher:
    """What a person sees while it runs; this one shows nothing."""

    def began(self, what: str) -> None:
        """A part of the exploration begins."""

    def ran(self, *, done: int, total: int, new: Sequence[Difference]) -> None:
        """A drawn pipeline has been compared; `new` is what it showed first."""

    def shrank(self, find: Find) -> None:
        """The smallest pipeline of a find is known."""


@dataclass(slots=True, kw_only=True)
class _Exploration:
    """What is known so far."""

    settings: Settings
    target: Target
    options: ExplorationOptions
    watcher: ExplorationWatcher
    clock: Clock
    known: tuple[Allowance, ...]
    redactor: Redactor
    folder: CaseFolder
    run_id: str
    started_at: datetime
    started_s: float
    sketches: tuple[Sketch, ...] = ()
    finds: dict[str, Find] = field(default_factory=dict)
    broken: dict[int, str] = field(default_factory=dict)
    ran: int = 0
    runs: int = 0
    trouble: list[Check] = field(default_factory=list)
    interrupted: bool = False
    leak: bool = False


def run_exploration(
    settings: Settings,
    target: Target,
    options: ExplorationOptions,
    *,
    watcher: ExplorationWatcher | None = None,
    clock: Clock | None = None,
    reach: Reach = far_end,
) -> Verdict:
    """Draws pipelines, runs both sides, shrinks what differs, and writes the session's report.

    Args:
        settings: folders, key and flags.
        target: the system under test; it draws the pipelines.
        options: what was asked for.
        watcher: is told how it goes.
        clock: the time.
        reach: opens the far end; it is closed, with every sandbox on it, at the end.

    Raises:
        UsageError: if the target draws no pipelines, or the file of allowances is wrong.
        BrokenError: if the report or a case cannot be written.
    """
    if not isinstance(target, Explorable):
        raise UsageError(
            f"the target {target.name!r} draws no pipelines",
            expected="a target that can be explored, such as osiris",
            next_step="leave out --explore",
        )
    clock = clock or SystemClock()
    path = options.allowances or target.allowances_file()
    known = load_allowances(path, product=options.product, version=target.version)
    exploration = _Exploration(
        settings=settings,
        target=target,
        options=options,
        watcher=watcher or ExplorationWatcher(),
        clock=clock,
        known=known.allowances,
        redactor=Redactor.of_process(root=settings.root, secrets=settings.secrets()),
        folder=CaseFolder(
            settings.testing_env / "explored" / f"seed-{options.seed}",
            target,
            origin=f"--explore {options.examples} --seed {options.seed}, "
            f"{target.name} {target.version}",
        ),
        run_id=f"explore-{clock.now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
        started_at=clock.now(),
        started_s=clock.monotonic_s(),
    )
    lacking = not_live(settings, options.far_end, require=options.require)
    if lacking is None:
        exploration.watcher.began(f"{options.examples} pipelines of seed {options.seed}")
        exploration.sketches = tuple(target.sketches(count=options.examples, seed=options.seed))
        _explore(exploration, reach)
    else:
        exploration.trouble.append(lacking)
    verdict = _verdict(exploration)
    write_session(settings.reports, verdict)
    return verdict


def _explore(exploration: _Exploration, reach: Reach) -> None:
    """Everything that needs the far end; what keeps it from its end becomes a check."""
    target, settings = exploration.target, exploration.settings
    try:
        exploration.watcher.began(f"{exploration.options.far_end} for {target.name}")
        runs = settings.testing_env / "runs"
        with (
            run_folder(runs, exploration.run_id) as folder,
            reach(exploration.options.far_end, target, settings) as endpoint,
        ):
            _search(exploration, endpoint, folder)
    except KeyboardInterrupt:
        exploration.interrupted = True
    except UsageError:
        raise
    except HarnessError as error:
        exploration.leak = isinstance(error, LeakError)
        exploration.trouble.append(not_reached(error))
    finally:
        exploration.folder.write(list(exploration.finds.values()))


def _search(exploration: _Exploration, endpoint: Endpoint, folder: Path) -> None:
    once = _runner(exploration, endpoint, folder, local_runs=1)
    with Evaluations(once, jobs=exploration.options.jobs) as evaluations:
        try:
            _run_examples(exploration, evaluations)
            exploration.watcher.began(f"to shrink {len(exploration.finds)} finds")
            shrunk: set[str] = set()
            while left := [find for find in exploration.finds.values() if find.fault not in shrunk]:
                _shrink(exploration, evaluations, left[0])
                shrunk.add(left[0].fault)
        finally:
            exploration.runs = evaluations.runs
    exploration.watcher.began("to run the smallest pipelines in full")
    _confirm(exploration, _runner(exploration, endpoint, folder, local_runs=2))


def _runner(
    exploration: _Exploration, endpoint: Endpoint, folder: Path, *, local_runs: int
) -> CaseRunner:
    return CaseRunner(
        target=exploration.target,
        endpoint=endpoint,
        folder=folder,
        root=exploration.settings.root,
        mirror=folder / "logs",
        redactor=exploration.redactor,
        clock=exploration.clock,
        local_runs=local_runs,
    )


def _run_examples(exploration: _Exploration, evaluations: Evaluations) -> None:
    total = len(exploration.sketches)
    for number, shown in enumerate(evaluations.shown(exploration.sketches), start=1):
        new = _note(exploration, number, shown)
        exploration.ran = number
        if new:
            exploration.folder.write(list(exploration.finds.values()))
        exploration.watcher.ran(done=number, total=total, new=new)


def _note(exploration: _Exploration, number: int, shown: Shown) -> list[Difference]:
    if shown.broken is not None:
        exploration.broken[number] = shown.broken
    new: list[Difference] = []
    sketch = exploration.sketches[number - 1]
    for fault, difference in shown.faults.items():
        find = exploration.finds.get(fault)
        if find is not None:
            find.seen_in += 1
            continue
        new.append(difference)
        exploration.finds[fault] = Find(
            fault=fault,
            difference=difference,
            example=number,
            before=sketch,
            after=sketch,
            known=_known(difference, exploration.known),
        )
    return new


def _note_unmasked(
    exploration: _Exploration, shrinking: Find, sketch: Sketch, shown: Shown
) -> None:
    """What a smaller pipeline shows and no drawn one did: a louder fault stood before it."""
    for fault, difference in shown.faults.items():
        if fault not in exploration.finds:
            exploration.finds[fault] = Find(
                fault=fault,
                difference=difference,
                example=shrinking.example,
                before=shrinking.before,
                after=sketch,
                seen_in=0,
                known=_known(difference, exploration.known),
            )


def _known(difference: Difference, allowances: Sequence[Allowance]) -> Allowance | None:
    """The allowance that accepts it in the library: what its pipelines are called counts not."""
    anywhere = [item for item in allowances if matches(replace(item, pipelines=()), difference)]
    exact = [item for item in anywhere if item.local is not None or item.remote is not None]
    return next(iter(exact or anywhere), None)


def _shrink(exploration: _Exploration, evaluations: Evaluations, find: Find) -> None:
    def shows(sketches: Sequence[Sketch]) -> list[bool] | None:
        new = sum(sketch not in evaluations for sketch in sketches)
        if find.runs + new > exploration.options.most_runs:
            return None
        find.runs += new
        everything = list(evaluations.shown(sketches))
        for sketch, shown in zip(sketches, everything, strict=True):
            _note_unmasked(exploration, find, sketch, shown)
        return [find.fault in shown.faults for shown in everything]

    start = evaluations.smallest(find.fault)
    shrunk = shrink(start, shows, side_by_side=evaluations.jobs)
    find.after, find.whole = shrunk.sketch, shrunk.whole
    (shown,) = evaluations.shown([find.after])
    find.difference = replace(shown.faults[find.fault], pipelines=(name_of(find.after),))
    find.known = _known(find.difference, exploration.known)
    exploration.folder.write(list(exploration.finds.values()))
    exploration.watcher.shrank(find)


def _confirm(exploration: _Exploration, runner: CaseRunner) -> None:
    """Runs each smallest pipeline as parity does: what two local runs disagree on is noise."""
    together: dict[Sketch, list[Find]] = {}
    for find in exploration.finds.values():
        together.setdefault(find.after, []).append(find)

    def faults(sketch: Sketch) -> set[str]:
        case = sketch.case(name_of(sketch), purpose="the smallest known")
        files = [*case.outputs, *case.files]
        return {fault_of(item, files) for item in runner.run(case).comparison.differences}

    with ThreadPoolExecutor(max_workers=exploration.options.jobs) as pool:
        try:
            for finds, seen in zip(together.values(), pool.map(faults, together), strict=True):
                for find in finds:
                    find.confirmed = find.fault in seen
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            runner.abort()
            raise


def _verdict(exploration: _Exploration) -> Verdict:
    options, redact = exploration.options, exploration.redactor
    finds = list(exploration.finds.values())
    checks = [*exploration.trouble, *(_check(exploration, find) for find in finds)]
    checks += [
        Check(name=f"example {number}", outcome=Outcome.BROKEN, reason=why)
        for number, why in exploration.broken.items()
    ]
    if exploration.interrupted:
        left = f"{exploration.ran} of {options.examples} pipelines were compared"
        checks.append(Check(name="exploration", outcome=Outcome.BROKEN, reason=left))
    elif exploration.ran and not checks:
        checks.append(Check(name="exploration", outcome=Outcome.PASSED))
    details: dict[str, Json] = {
        "run_id": exploration.run_id,
        "target": {"name": exploration.target.name, "version": exploration.target.version},
        "product": options.product,
        "accepting": options.accept,
        "seed": options.seed,
        "examples": options.examples,
        "compared": exploration.ran,
        "pipelines_run": exploration.runs,
        "cases_folder": str(exploration.folder.folder),
        "finds": [find.to_json(exploration.folder.path_of(find)) for find in finds],
    }
    return Verdict(
        session=EXPLORATION,
        endpoint=options.far_end.value,
        started_at=exploration.started_at,
        duration_s=exploration.clock.monotonic_s() - exploration.started_s,
        checks=tuple(replace(check, reason=redact.text(check.reason)) for check in checks),
        leak=exploration.leak,
        interrupted=exploration.interrupted,
        details={key: redact.json(value) for key, value in details.items()},
    )


def _check(exploration: _Exploration, find: Find) -> Check:
    shown = find.difference
    accepted = exploration.options.accept and find.known is not None
    noise = find.confirmed is False
    reason = (
        f"{shown.local} → {shown.remote}\nsmallest pipeline: {exploration.folder.path_of(find)}"
    )
    return Check(
        name=f"{shown.path} ({shown.kind}, {shown.id})",
        outcome=Outcome.PASSED if accepted or noise else Outcome.FAILED,
        reason="" if accepted or noise else reason,
    )
