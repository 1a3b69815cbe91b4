"""Is a sandbox left, however and wherever its program, or the gateway, is ended?

    python benchmarks/orphan_trials.py --trials 200

Half of the trials end a real `osiris run --e2b`, the others plain scripts of the
Python and the JavaScript SDK (all Python where npm cannot install `e2b`);
`--gateway-kills` of them are added on top. Exit code 1 where one fails.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from orphan_trials import (
    Bench,
    Program,
    Result,
    Trial,
    Way,
    javascript_program,
    osiris_program,
    points,
    python_program,
    table,
)

from harness.emulator.attach import Emulator
from harness.settings import Settings
from harness.targets.osiris import OsirisTarget
from harness.workflow.client_environments import NEWEST
from harness.workflow.versions_clients import npm_environment

WAYS = tuple(way for way in Way if way is not Way.GATEWAY)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--gateway-kills", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--node-modules", type=Path, help="one with e2b, instead of npm's newest")
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="where testing_env is")
    told = parser.parse_args()
    settings = Settings.load(root=told.root, environ={})
    target = OsirisTarget(settings=settings)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="orphan-trials-") as folder:
        results = _run(told, target, settings, Path(folder))
    print(table(results))
    for result in results:
        if not result.passed:
            print(f"FAILED {result}")
    idle = sum(not result.request for result in results)
    print(
        f"{len(results)} trials in {time.monotonic() - begun:.0f} s; {idle} ended before the point"
    )
    return int(not all(result.passed for result in results))


def _run(
    told: argparse.Namespace, target: OsirisTarget, settings: Settings, folder: Path
) -> list[Result]:
    programs = _programs(told, target, settings, folder)
    shares = {program.name: 0.5 / (len(programs) - 1) for program in programs[1:]}
    shares[programs[0].name] = 0.5
    with Emulator(
        "--no-stamp",
        packages=target.template_packages(),
        template_dir=settings.testing_env / "templates",
    ) as emulator:
        first = Bench(emulator, folder / "measure")
        trials: list[Trial] = []
        for program in programs:
            requests = first.requests_of(program)
            print(f"{program.name}: {len(requests)} requests, {requests[0]} … {requests[-1]}")
            count = round(told.trials * shares[program.name])
            trials += _trials(program, requests, count)
            kills = round(told.gateway_kills * shares[program.name])
            trials += [
                Trial(program=program, way=Way.GATEWAY, point=point)
                for point in points(requests, kills)[:kills]
            ]
        first.close()
        return _all(emulator, trials, told.workers, folder)


def _programs(
    told: argparse.Namespace, target: OsirisTarget, settings: Settings, folder: Path
) -> list[Program]:
    programs = [
        osiris_program(target, settings, folder / "osiris"),
        python_program(target, folder / "python"),
    ]
    if told.node_modules:
        modules: Path | str = told.node_modules
    else:
        home = npm_environment(settings, NEWEST)
        modules = home / "node_modules" if isinstance(home, Path) else home
    if isinstance(modules, Path) and (modules / "e2b").is_dir():
        programs.append(javascript_program(modules.resolve(), folder / "javascript"))
    else:
        print(f"javascript: NOT_RUN, no package e2b: {modules}")
    return programs


def _trials(program: Program, requests: list[str], count: int) -> list[Trial]:
    """So many trials, evenly over the ways; each way at evenly spread points."""
    share = -(-count // len(WAYS))
    every = [
        Trial(program=program, way=way, point=point)
        for way in WAYS
        for point in points(requests, share)
    ]
    return every[:count]


def _all(emulator: Emulator, trials: list[Trial], workers: int, folder: Path) -> list[Result]:
    results: list[Result] = []

    def work(number: int) -> None:
        bench = Bench(emulator, folder / f"worker-{number}")
        try:
            for trial in trials[number::workers]:
                result = bench.run(trial)
                results.append(result)
                state = "ok" if result.passed else f"LEFT {result.left}"
                print(
                    f"{len(results):4}/{len(trials)} {trial.program.name:17} {trial.way:16} "
                    f"{trial.point.moment if trial.point else '':15} {result.request:60.60} "
                    f"{result.created} created, gone in {result.gone_s:.1f} s {state}",
                    file=sys.stderr,
                    flush=True,
                )
        finally:
            bench.close()

    with ThreadPoolExecutor(workers) as pool:
        for future in [pool.submit(work, number) for number in range(workers)]:
            future.result()
    return results


if __name__ == "__main__":
    sys.exit(main())
