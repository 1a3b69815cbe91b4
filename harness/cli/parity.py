"""`harness parity …`: does a pipeline do the same in a sandbox as on this machine?"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.exploration_display import ExplorationLines, print_exploration
from harness.cli.invocation import command_line
from harness.cli.parity_controls import controls
from harness.cli.parity_display import ProgressLines, print_parity
from harness.cli.parity_repetition import false_alarms
from harness.cli.parity_verdicts import accept, merge, print_json, show
from harness.emulator.plans import Plan
from harness.errors import UsageError
from harness.model.run import PipelineCase
from harness.ports import Target
from harness.settings import Settings
from harness.targets.command import PRODUCT as COMMAND
from harness.targets.command import (
    CommandProgram,
    CommandTarget,
    requirements_of,
    variables_of,
)
from harness.targets.osiris.own_cases import load_own_cases, own_allowances_file
from harness.targets.registry import load_target
from harness.workflow.exploration import JOBS as EXPLORERS
from harness.workflow.exploration import ExplorationOptions, run_exploration
from harness.workflow.parity import JOBS, PRODUCT, ParityOptions, run_parity
from harness.workflow.parity_endpoint import FarEnd
from harness.workflow.parity_endpoint import far_end as reach_far_end
from harness.workflow.parity_selection import select_cases
from harness.workflow.parity_shards import Shard
from harness.workflow.smoke import LiveEndpoint

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)
for verb in (controls, merge, show, accept):
    app.command()(verb)
app.command("false-alarms")(false_alarms)

TARGET = "osiris"


@app.callback()
def _noun() -> None:
    """Does a pipeline do the same in a sandbox as on this machine?"""


@app.command()
def run(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- PROGRAM ...]", help="Compare this program, with --files."),
    ] = None,
    *,
    files: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="What the program runs in a copy of.")
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[=VALUE]", help="A variable of the program; else as set here."),
    ] = None,
    deadline: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long the program may take.")
    ] = 120.0,
    template: Annotated[
        str | None, typer.Option(help="E2B's template of the program's sandbox.")
    ] = None,
    package: Annotated[
        list[str] | None, typer.Option(help="A Python package that the program's sandbox offers.")
    ] = None,
    requirements: Annotated[
        Path | None, typer.Option(help="A requirements file: packages of the program's sandbox.")
    ] = None,
    compare_env: Annotated[
        bool, typer.Option("--compare-env", help="Compare what the program's environment is.")
    ] = False,
    live: Annotated[
        bool, typer.Option("--live", help="Compare with the real E2B; needs E2B_API_KEY.")
    ] = False,
    live_endpoint: Annotated[
        LiveEndpoint | None,
        typer.Option(help="`emulator`: go the live way, with the emulator for the service."),
    ] = None,
    osiris: Annotated[
        str | None, typer.Option(metavar="VERSION", help="Version of osiris-pipeline.")
    ] = None,
    case: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this case; may be repeated.")
    ] = None,
    expression: Annotated[
        str | None, typer.Option("-k", metavar="EXPR", help="Only cases that this fits, as pytest.")
    ] = None,
    no_allowances: Annotated[
        bool, typer.Option("--no-allowances", help="Accept nothing: list every difference.")
    ] = False,
    own: Annotated[
        Path | None,
        typer.Option(
            "--cases",
            metavar="PATH",
            help="Cases or pipelines of your own instead of the library: a folder, or one file.",
        ),
    ] = None,
    allowances: Annotated[
        Path | None, typer.Option(help="Another file of accepted divergences.")
    ] = None,
    calibrate: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="Run the remote side N times, to learn its noise."),
    ] = 1,
    explore: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Draw N pipelines instead, and shrink what differs."),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Where the drawing begins; the same seed, the same pipelines.")
    ] = 0,
    shard: Annotated[
        str | None,
        typer.Option(metavar="NUMBER/TOTAL", help="Only this part of the cases, such as 2/8."),
    ] = None,
    durations: Annotated[
        Path | None, typer.Option(help="Where it is kept how long each case takes.")
    ] = None,
    plan: Annotated[
        Plan | None,
        typer.Option(help="With --live-endpoint emulator: the limits that are to be kept."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("-n", min=0, metavar="N", help="How many workers; 0 for this process alone."),
    ] = None,
    require: Annotated[
        bool,
        typer.Option("--require", "--e2b-require", help="Live and not run is a failure."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
    list_cases: Annotated[bool, typer.Option("--list", help="List the cases, run none.")] = False,
    verbose: Annotated[
        int,
        typer.Option("-v", "--verbose", count=True, help="Show accepted ones and noise, too."),
    ] = 0,
) -> None:
    """Runs each case here twice and in a sandbox once, and compares everything."""
    settings = Settings.load()
    program: CommandProgram | None = None
    if words or files is not None:
        program = CommandProgram(
            words=tuple(words or ()),
            folder=files or Path(),
            path=os.pathsep.join(os.get_exec_path()),  # as the person's shell has it
            env=variables_of(env or (), os.environ),
            deadline_s=deadline,
            template=template,
            packages=(
                *(package or ()),
                *requirements_of(requirements),
            ),
            compare_env=compare_env,
        )
    target: Target = (
        CommandTarget(settings=settings, program=program)
        if program
        else load_target(TARGET, settings=settings, version=osiris)
    )
    _tell_left_out(target)
    far_end = FarEnd.EMULATOR
    if live_endpoint is LiveEndpoint.EMULATOR:
        far_end = FarEnd.LIVE_ON_EMULATOR
    elif live or live_endpoint is LiveEndpoint.SERVICE:
        far_end = FarEnd.LIVE
        settings = replace(settings, live_tests=True)  # asked for in so many words
    if plan is not None and far_end is not FarEnd.LIVE_ON_EMULATOR:
        raise UsageError(
            f"--plan {plan} without --live-endpoint emulator",
            expected="a plan where its limits are kept: on the live way, before the emulator",
            next_step=f"add --live-endpoint emulator, or leave out --plan {plan}",
        )
    part = Shard.parse(shard) if shard is not None else None
    reach = partial(reach_far_end, plan=plan.value if plan else None)
    if explore is not None:
        if case or expression or list_cases or part or own:
            raise _not_together("--explore", "--case, --cases, -k, --list and --shard")
        exploration = ExplorationOptions(
            examples=explore,
            seed=seed,
            far_end=far_end,
            require=require,
            accept=not no_allowances,
            allowances=allowances,
            product=COMMAND if program else PRODUCT,
            jobs=workers or EXPLORERS,
        )
        verdict = run_exploration(
            settings, target, exploration, watcher=ExplorationLines(), reach=reach
        )
        if as_json:
            print_json(verdict.to_json())
        else:
            print_exploration(verdict, settings, verbose=verbose > 0)
        raise typer.Exit(verdict.exit_code)
    library = target.cases()
    choice = _own_cases(own, library, alone=not (program or part)) if own else library
    cases = select_cases(choice, names=case or (), expression=expression)
    if list_cases:
        _list(cases, as_json=as_json)
        return
    options = ParityOptions(
        cases=cases,
        library=(*library, *choice) if own else library,
        far_end=far_end,
        require=require,
        accept=not no_allowances,
        allowances=allowances,
        own_allowances=own_allowances_file(own) if own else None,
        command=_again(far_end, osiris, allowances, program, calibrate=calibrate, own=own),
        program=f"-- {shlex.join(program.words)}" if program else "",
        product=COMMAND if program else PRODUCT,
        workers=(JOBS if len(cases) > 1 else 0) if workers is None else workers,
        calibrate=calibrate,
        shard=part,
        durations=durations,
    )
    verdict = run_parity(settings, target, options, watcher=ProgressLines(), reach=reach)
    if as_json:
        print_json(verdict.to_json())
    else:
        print_parity(verdict, settings, verbose=verbose > 0)
    raise typer.Exit(verdict.exit_code)


def _tell_left_out(target: Target) -> None:
    """What of a program's folder does not go on its way, for the program may miss it."""
    if not isinstance(target, CommandTarget):
        return
    for path, why in target.job.refused.items():
        sys.stderr.write(f"left out of {target.program.folder}: {path} ({why})\n")


def _own_cases(
    path: Path, library: Sequence[PipelineCase], *, alone: bool
) -> tuple[PipelineCase, ...]:
    if not alone:
        raise _not_together("--cases", "--files, a program and --shard")
    return load_own_cases(path, known=[case.name for case in library])


def _not_together(option: str, others: str) -> UsageError:
    return UsageError(
        f"{option} does not go with {others}",
        expected="one way to choose what is run",
        next_step="leave one of them out",
    )


def _again(
    far_end: FarEnd,
    osiris: str | None,
    allowances: Path | None,
    program: CommandProgram | None,
    *,
    calibrate: int,
    own: Path | None,
) -> str:
    """The beginning of a command that runs a case in the same way."""
    words: list[str] = []
    if far_end is FarEnd.LIVE:
        words.append("--live")
    elif far_end is FarEnd.LIVE_ON_EMULATOR:
        words += ["--live-endpoint", "emulator"]
    if osiris:
        words += ["--osiris", osiris]
    if own:
        words += ["--cases", str(own)]
    if allowances:
        words += ["--allowances", str(allowances)]
    if calibrate > 1:
        words += ["--calibrate", str(calibrate)]
    if program:
        words += ["--files", str(program.folder), "--deadline", f"{program.deadline_s:g}"]
        # The value of a variable may be a secret: who runs it again has it set.
        words += [word for name in program.env for word in ("--env", name)]
        words += ["--template", program.template] if program.template else []
        words += [word for name in program.packages for word in ("--package", name)]
        words += ["--compare-env"] if program.compare_env else []
    return command_line("parity", "run", *words)


def _list(cases: Sequence[PipelineCase], *, as_json: bool) -> None:
    if as_json:
        print_json([{"name": case.name, "purpose": case.purpose} for case in cases])
        return
    width = max(len(case.name) for case in cases)
    for case in cases:
        sys.stdout.write(f"{case.name:<{width}}  {case.purpose}\n")
