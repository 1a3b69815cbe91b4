"""How long does it take to list 10,000 sandboxes and end 3,000 of them?

    python benchmarks/orphans.py

The baseline is what anybody would write: the same listing and the same kills, one
after the other, without looking again. The second table is a service that allows 20
requests a second; the third, what 1,000 and 10,000 sandboxes cost in memory.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

import httpx
from hollow_emulator import Hollow, hollow_emulator

from harness.emulator.attach import admin
from harness.orphans import Limits, Sweeper, SweepReport
from harness.sdk import ApiEndpoint, ApiSandboxDirectory

LISTED, DUE = 10_000, 3_000
LIMIT_PER_S = 20.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sandboxes", type=int, default=LISTED)
    parser.add_argument("--due", type=int, default=DUE)
    parser.add_argument("--limited", type=int, default=200, help="kills at 20 requests a second")
    parser.add_argument("--sweep-memory", type=int, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.sweep_memory:
        return _memory(told.sweep_memory)
    _speed(told.sandboxes, told.due)
    _limited(told.limited)
    print("\n| sandboxes | peak memory of the sweeping process |\n|---|---|")
    for count in (1_000, 10_000):
        words = [sys.executable, __file__, "--sweep-memory", str(count)]
        print(subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip())
    return 0


def _speed(sandboxes: int, due: int) -> None:
    with hollow_emulator(sandboxes, due) as hollow:
        naive_s = _naive(hollow)
    with hollow_emulator(sandboxes, due) as hollow:
        sweep_s, exact = _sweep(hollow)
    print(f"| {sandboxes} listed, {due} ended | s | ratio |\n|---|---|---|")
    print(f"| one after the other, no second look | {naive_s:.1f} | 1.00 |")
    print(f"| sweep: each read again, verified | {sweep_s:.1f} | {sweep_s / naive_s:.2f} |")
    print(f"exactly the {due}: {'yes' if exact else 'NO'}")


def _naive(hollow: Hollow) -> float:
    begun_s = time.perf_counter()
    headers = {"X-API-Key": hollow.endpoint.env["E2B_API_KEY"]}
    with httpx.Client(
        base_url=hollow.endpoint.env["E2B_API_URL"], headers=headers, trust_env=False
    ) as client:
        query = {"limit": "100", "state": "running,paused"}
        while True:
            answer = client.get("/v2/sandboxes", params=query)
            if "x-next-token" not in answer.headers:
                break
            query["nextToken"] = answer.headers["x-next-token"]
        for sandbox_id in hollow.due:
            client.delete(f"/sandboxes/{sandbox_id}").raise_for_status()
    return time.perf_counter() - begun_s


def _sweep(hollow: Hollow) -> tuple[float, bool]:
    begun_s = time.perf_counter()
    report = _swept(hollow)
    took_s = time.perf_counter() - begun_s
    ended = {row["sandbox_id"] for row in admin(hollow.endpoint).sandboxes() if row["ended_at"]}
    return took_s, ended == set(report.orphans) == hollow.due and not report.left


def _swept(hollow: Hollow) -> SweepReport:
    with ApiSandboxDirectory(ApiEndpoint.from_env(hollow.endpoint.env)) as directory:
        limits = Limits(max_kill=LISTED, max_share=1)
        return Sweeper(directory, limits=limits).sweep(force=True)


def _limited(due: int) -> None:
    with hollow_emulator(due, due, limit_per_s=LIMIT_PER_S) as hollow:
        took_s, exact = _sweep(hollow)
        requests = sum(row["area"] != "none" for row in admin(hollow.endpoint).ledger())
    # The bucket is full at the start, so the first second's requests are free.
    least_s = (requests - LIMIT_PER_S) / LIMIT_PER_S
    print(f"\n| {LIMIT_PER_S:g} requests/s, {requests} requests | s | ratio |\n|---|---|---|")
    print(f"| what the limit allows | {least_s:.1f} | 1.00 |")
    print(f"| sweep | {took_s:.1f} | {took_s / least_s:.2f} |")
    print(f"exactly the {due}: {'yes' if exact else 'NO'}")


def _memory(sandboxes: int) -> int:
    with hollow_emulator(sandboxes, sandboxes * 3 // 10) as hollow:
        _swept(hollow)
    print(f"| {sandboxes} | {_peak_kib() / 1024:.0f} MiB |")
    return 0


def _peak_kib() -> int:
    """The peak since this program began; `ru_maxrss` counts the one that started it, too."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


if __name__ == "__main__":
    sys.exit(main())
