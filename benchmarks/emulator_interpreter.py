"""What running code costs: sandboxes that never run any, the first code, and the next.

Two emulators in one run: without the interpreter (the baseline) and with it. Whole:
`python benchmarks/emulator_interpreter.py`; a number of creates may follow.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

from e2b_code_interpreter import Sandbox

from harness.emulator.attach import Emulator

CREATES = 25
RUNS_EVERY = 5
_PAUSE_S = 0.15  # lets the pool fill again, as between tests
_MEMORY = "awk '/RssAnon/ {print $2}' /proc/1/status"


def timed_ms(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def main(creates: int) -> None:
    create_ms: dict[str, list[float]] = {"without": [], "with": []}
    agent_kib: dict[str, int] = {}
    first_ms: list[float] = []
    next_ms: list[float] = []
    with Emulator() as without, Emulator("--interpreter") as with_code:
        for turn in range(creates):
            for name, emulator in (("without", without), ("with", with_code)):
                env = emulator.env
                began = time.perf_counter()
                sandbox = Sandbox.create(
                    timeout=60,
                    api_key=env["E2B_API_KEY"],
                    api_url=env["E2B_API_URL"],
                    sandbox_url=env["E2B_SANDBOX_URL"],
                )
                create_ms[name].append((time.perf_counter() - began) * 1000)
                if name not in agent_kib:
                    agent_kib[name] = int(sandbox.commands.run(_MEMORY, user="root").stdout)
                if name == "with" and turn % RUNS_EVERY == 0:
                    first_ms.append(timed_ms(lambda s=sandbox: s.run_code("1")))
                    next_ms.append(timed_ms(lambda s=sandbox: s.run_code("1")))
                sandbox.kill()
                time.sleep(_PAUSE_S)
    medians = {name: statistics.median(values) for name, values in create_ms.items()}
    print(f"{'':34}{'without':>10}{'with':>10}{'ratio':>8}")
    row("create, median, ms", medians["without"], medians["with"])
    row("agent's private memory, KiB", agent_kib["without"], agent_kib["with"])
    print(f"first code in a sandbox, median: {statistics.median(first_ms):.0f} ms")
    print(f"next code, median: {statistics.median(next_ms):.1f} ms")


def row(name: str, without: float, with_code: float) -> None:
    print(f"{name:34}{without:>10.1f}{with_code:>10.1f}{with_code / without:>8.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else CREATES)
