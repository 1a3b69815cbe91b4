"""Do more workers than a plan allows wait for it, and does none fail?

    python benchmarks/parity_plan.py

Clients of the gateway create sandboxes on the emulator's hobby plan (20 at a time, one
create a second) and keep each for a while, as a case does. The baseline is the same
without patience: what the service refuses by itself.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from measuring import show

from harness.emulator.attach import Emulator
from harness.gateway import Gateway
from harness.model.side import Endpoint
from harness.workflow.parity_endpoint import PATIENCE_S

CLIENTS = 26
HELD_S = 22.0
CREATED = 201


def keep_one(endpoint: Endpoint) -> tuple[int, float]:
    """The status of a create and the seconds that it took; the sandbox is kept for a while."""
    env = endpoint.env
    with httpx.Client(
        base_url=env["E2B_API_URL"],
        headers={"X-API-Key": env["E2B_API_KEY"]},
        timeout=60,
        trust_env=False,
    ) as client:
        begun_s = time.monotonic()
        answer = client.post("/sandboxes", json={"templateID": "base", "timeout": 120})
        waited_s = time.monotonic() - begun_s
        if answer.status_code == CREATED:
            time.sleep(HELD_S)
            client.delete(f"/sandboxes/{answer.json()['sandboxID']}")
        return answer.status_code, waited_s


def fleet(patience_s: float) -> tuple[Counter[int], float, int]:
    """Answers by status, the longest wait, and how often the service refused."""
    with (
        tempfile.TemporaryDirectory() as state,
        Emulator("--plan", "hobby") as emulator,
        Gateway(
            upstream=emulator.endpoint, state_dir=Path(state), patience_s=patience_s
        ) as gateway,
        ThreadPoolExecutor(CLIENTS) as threads,
    ):
        told = list(threads.map(lambda _: keep_one(gateway.endpoint), range(CLIENTS)))
        refused = sum(
            request.get("status") == httpx.codes.TOO_MANY_REQUESTS for request in emulator.ledger()
        )
    return Counter(status for status, _ in told), max(waited_s for _, waited_s in told), refused


alone, _, _ = fleet(0.0)
patient, longest_s, refusals = fleet(PATIENCE_S)
show(
    "parity_plan",
    [
        ("clients on a plan of 20, one a second", str(CLIENTS), ""),
        ("that fail without the gateway's patience", str(alone[429]), ""),
        ("that fail with it", str(CLIENTS - patient[CREATED]), "0"),
        ("429s that the gateway waited out", str(refusals), ""),
        ("longest wait of a create", f"{longest_s:.0f} s", f"under {PATIENCE_S:g} s"),
    ],
)
