"""The mutation score of parity: real runs, spoilt by one fault at a time, must all be found.

Two ways. The program of `harness.targets.command.controls` is spoilt inside a sandbox, in a
run of its own for each fault. The released Osiris runs for real in a sandbox, and each fault
is planted into what came back. Every fault must be found at its place, by the comparison and
the allowances that `harness parity run` uses; and runs without a fault must show nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from harness.clock import Clock, SystemClock
from harness.errors import HarnessError
from harness.model.evidence import Evidence
from harness.model.outcome import Outcome
from harness.model.run import Json, PipelineCase
from harness.model.side import Endpoint, Side
from harness.model.verdict import Check, Verdict
from harness.parity import CaseRun, compare_case, judge
from harness.parity.allowances import AllowanceFile, load_allowances
from harness.parity.controls import FAILURE_FAULTS, FAULTS, Fault, Scene, UnfitError
from harness.ports import Target
from harness.reports.session import write_session
from harness.settings import Settings
from harness.targets.command import CommandTarget
from harness.targets.command.controls import FAILING, NO_FAULT, control_program, spoilt
from harness.targets.command.controls import FAULTS as SANDBOX_FAULTS
from harness.targets.command.program import CommandProgram
from harness.workflow.parity import PRODUCT
from harness.workflow.parity_endpoint import FarEnd, far_end
from harness.workflow.parity_observation import Observed, observe

__all__ = ["GROUPS", "SESSION", "ControlOptions", "control_names", "run_controls"]

SESSION = "parity-controls"
GROUPS = ("sandbox", "came-back")
JOBS = 2  # sandboxes side by side
# The first case that succeeds and the first that fails are spoilt; both have what faults need.
CASES = (("types-nulls-unicode", FAULTS), ("bad-sql", FAILURE_FAULTS))
CLEAN = "no fault at all"


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlOptions:
    """Which controls to run.

    Attributes:
        groups: of `GROUPS`.
        chosen: whether a control of this full name is run.
        search_path: where the program of the sandbox's controls is found on this machine.
        product: what Osiris's file of allowances is about.
    """

    search_path: str
    groups: tuple[str, ...] = GROUPS
    chosen: Callable[[str], bool] = lambda _: True
    product: str = PRODUCT


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One fault, planted and looked for.

    Attributes:
        name: group and fault.
        path: where it must be found; empty where nothing may be.
        seen: the paths of all that was found.
        trouble: why it says nothing; None where it does.
    """

    name: str
    path: str
    seen: tuple[str, ...] = ()
    trouble: str | None = None

    @property
    def found(self) -> bool:
        """Whether it was found at its place; of a run without a fault, whether it is clean."""
        if self.trouble is not None:
            return False
        if not self.path:
            return not self.seen
        return any(path == self.path or path.startswith(self.path) for path in self.seen)

    def check(self) -> Check:
        """The control as a check of a verdict."""
        if self.found:
            return Check(name=self.name, outcome=Outcome.PASSED)
        if self.trouble is not None:
            return Check(name=self.name, outcome=Outcome.BROKEN, reason=self.trouble)
        told = ", ".join(self.seen[:5]) or "nothing"
        wanted = f"a difference at {self.path}" if self.path else "no difference"
        return Check(
            name=self.name, outcome=Outcome.FAILED, reason=f"found {told}\nexpected: {wanted}"
        )

    def to_json(self) -> dict[str, Json]:
        """One entry of the verdict's details."""
        return {
            "name": self.name,
            "path": self.path,
            "found": self.found,
            "seen": list(self.seen[:20]),
        }


def control_names(options: ControlOptions) -> tuple[str, ...]:
    """The full names of the controls that would be run."""
    names = []
    if "sandbox" in options.groups:
        names += [f"sandbox: {name}" for name in (*SANDBOX_FAULTS, *FAILING)]
    if "came-back" in options.groups:
        names += [f"came-back: {fault.name}" for _, faults in CASES for fault in faults]
    return tuple(name for name in names if options.chosen(name))


def run_controls(
    settings: Settings,
    osiris: Target,
    options: ControlOptions,
    *,
    watch: Callable[[Control, int, int], None] = lambda _control, _done, _total: None,
    clock: Clock | None = None,
    reports: Path | None = None,
) -> Verdict:
    """Runs the controls and writes the session's report.

    Args:
        settings: folders and flags.
        osiris: the product whose runs are spoilt.
        options: which of them.
        watch: is told each control, how many are done, and how many there are.
        clock: the time.
        reports: the folder of reports; the settings' own where it is None.

    Raises:
        UsageError: if the product's file of allowances is wrong.
        BrokenError: if the report cannot be written.
    """
    clock = clock or SystemClock()
    started_at, started_s = clock.now(), clock.monotonic_s()
    folder = settings.testing_env / "runs" / f"controls-{secrets.token_hex(4)}"
    bench = _Bench(settings=settings, folder=folder, clock=clock, options=options)
    names = control_names(options)
    found: list[Control] = []
    trouble: list[Check] = []
    try:
        for control in bench.run(osiris):
            found.append(control)
            watch(control, sum(bool(item.path) for item in found), len(names))
    except HarnessError as error:
        reason = "\n".join(error.lines())
        trouble.append(Check(name="runs", outcome=Outcome.BROKEN, reason=reason))
    planted = [control for control in found if control.path]
    verdict = Verdict(
        session=SESSION,
        endpoint=FarEnd.EMULATOR.value,
        started_at=started_at,
        duration_s=clock.monotonic_s() - started_s,
        checks=(*trouble, *(control.check() for control in found)),
        details={
            "found": sum(control.found for control in planted),
            "total": len(names),
            "clean": all(control.found for control in found if not control.path),
            "controls": [control.to_json() for control in planted],
            "folder": str(folder),
        },
    )
    write_session(reports or settings.reports, verdict)
    return verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class _Accepting:
    """What is known of the product, and accepted."""

    allowances: AllowanceFile
    library: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    """Where controls are run."""

    settings: Settings
    folder: Path
    clock: Clock
    options: ControlOptions

    def run(self, osiris: Target) -> Iterator[Control]:
        groups = self.options.groups
        if "sandbox" in groups and self._any("sandbox", (*SANDBOX_FAULTS, *FAILING)):
            yield from self._in_sandboxes()
        if "came-back" in groups:
            cases = [
                (name, tuple(fault for fault in faults if self._is_chosen("came-back", fault.name)))
                for name, faults in CASES
            ]
            if any(faults for _, faults in cases):
                yield from self._in_what_came_back(osiris, cases)

    def _is_chosen(self, group: str, name: str) -> bool:
        return self.options.chosen(f"{group}: {name}")

    def _any(self, group: str, names: Iterable[str]) -> bool:
        return any(self._is_chosen(group, name) for name in names)

    def _in_sandboxes(self) -> Iterator[Control]:
        target = self._target(control_program(self.options.search_path))
        with far_end(FarEnd.EMULATOR, target, self.settings) as endpoint:
            for fails, faults in ((False, SANDBOX_FAULTS), (True, FAILING)):
                chosen = {at: path for at, path in faults.items() if self._is_chosen("sandbox", at)}
                if chosen:
                    program = control_program(self.options.search_path, fails=fails)
                    yield from self._in_sandboxes_of(program, endpoint, chosen)

    def _in_sandboxes_of(
        self, program: CommandProgram, endpoint: Endpoint, faults: Mapping[str, str]
    ) -> Iterator[Control]:
        target = self._target(program)
        case = target.cases()[0]
        place = self.folder / program.words[-1].strip("-.")
        local = [
            self._observe(target, case, Side.LOCAL, place / f"local-{n}").evidence for n in (1, 2)
        ]

        def control(fault: str, path: str) -> Control:
            name = f"sandbox: {fault if path else f'{CLEAN} ({case.oml})'}"
            spoiling = self._target(spoilt(program, fault))
            remote = self._observe(
                spoiling, case, Side.E2B, place / fault.replace(" ", "-"), endpoint
            )
            return self._compared(name, path, case, (local[0], local[1], remote.evidence))

        with ThreadPoolExecutor(max_workers=JOBS, thread_name_prefix="control") as pool:
            yield from pool.map(control, (NO_FAULT, *faults), ("", *faults.values()))

    def _target(self, program: CommandProgram) -> CommandTarget:
        return CommandTarget(settings=self.settings, program=program)

    def _in_what_came_back(
        self, osiris: Target, cases: Sequence[tuple[str, tuple[Fault, ...]]]
    ) -> Iterator[Control]:
        allowances = load_allowances(
            osiris.allowances_file(), product=self.options.product, version=osiris.version
        )
        with far_end(FarEnd.EMULATOR, osiris, self.settings) as endpoint:
            for name, faults in cases:
                if not faults:
                    continue
                case, place = osiris.case(name), self.folder / name
                local = (
                    self._observe(osiris, case, Side.LOCAL, place / "local-1").evidence,
                    self._observe(osiris, case, Side.LOCAL, place / "local-2").evidence,
                )
                remote = self._observe(osiris, case, Side.E2B, place / "e2b", endpoint)
                accepting = _Accepting(
                    allowances=allowances, library=tuple(item.name for item in osiris.cases())
                )
                clean = f"came-back: {CLEAN} ({name})"
                yield self._compared(clean, "", case, (*local, remote.evidence), accepting)
                for fault in faults:
                    yield self._planted(fault, osiris, case, (*local, remote), accepting)

    def _planted(
        self,
        fault: Fault,
        target: Target,
        case: PipelineCase,
        sides: tuple[Evidence, Evidence, Observed],
        accepting: _Accepting,
    ) -> Control:
        """One fault in what came back, which is put back afterwards."""
        name = f"came-back: {fault.name}"
        first, second, remote = sides
        scene = Scene(remote.context, remote.result, remote.collected, first)
        try:
            with scene.kept():
                path = fault.plant(scene)
                spoiled = remote.gathered(target, case, scene.result, scene.collected)
                return self._compared(name, path, case, (first, second, spoiled), accepting)
        except UnfitError as error:
            return Control(name=name, path="-", trouble=f"the run of {case.name} lacks {error}")

    def _compared(
        self,
        name: str,
        path: str,
        case: PipelineCase,
        sides: tuple[Evidence, Evidence, Evidence],
        accepting: _Accepting | None = None,
    ) -> Control:
        """Compares as `harness parity run` does, and tells what is open or wrong."""
        compared = compare_case(*sides, expect_success=case.expect_success)
        if compared.broken is not None:
            return Control(name=name, path=path or "-", trouble=compared.broken)
        findings = judge(
            [CaseRun(comparison=compared)],
            accepting.allowances if accepting else None,
            today=self.clock.now().date(),
            library=accepting.library if accepting else [case.name],
        )
        seen = [item.path for item in findings.open]
        seen += [problem.allowance.path for problem in findings.problems]
        return Control(name=name, path=path, seen=tuple(dict.fromkeys(seen)))

    def _observe(
        self,
        target: Target,
        case: PipelineCase,
        side: Side,
        folder: Path,
        endpoint: Endpoint | None = None,
    ) -> Observed:
        return observe(target, case, side, folder, endpoint=endpoint, clock=self.clock)
