"""What does the gateway add to a request?

    python benchmarks/orphans_gateway.py

A small service on loopback is asked directly and through the gateway, in turn, over one
kept connection each. A create costs two lines forced to disk besides.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

import httpx
from e2b_stand_in import KEY, StandIn, serve

from harness.gateway import Gateway


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=400)
    told = parser.parse_args()
    with (
        serve() as service,
        tempfile.TemporaryDirectory(prefix="gateway-") as folder,
        Gateway(upstream=service.url, key=KEY, state_dir=Path(folder)) as gateway,
        _client(service.url) as direct,
        _client(gateway.endpoint.env["E2B_API_URL"]) as through,
    ):
        print("| request | direct, median ms | through the gateway | added |\n|---|---|---|---|")
        service.plant("ione")
        for name, ask, count in (
            ("GET /sandboxes/{id}", _get, told.requests),
            ("POST /v2/sandboxes", _create, told.requests // 4),
        ):
            _compare(name, ask, direct=direct, through=through, service=service, count=count)
        for sandbox_id in gateway.alive():
            service.sandboxes.pop(sandbox_id, None)
    return 0


def _compare(
    name: str,
    ask: Callable[[httpx.Client], httpx.Response],
    *,
    direct: httpx.Client,
    through: httpx.Client,
    service: StandIn,
    count: int,
) -> None:
    took: dict[bool, list[float]] = {False: [], True: []}
    for number in range(2 * count):
        by_gateway = bool(number % 2)
        begun_s = time.perf_counter()
        ask(through if by_gateway else direct).raise_for_status()
        took[by_gateway].append((time.perf_counter() - begun_s) * 1000)
        service.requests.clear()
        service.headers.clear()
    here, there = (statistics.median(took[way]) for way in (False, True))
    print(f"| {name} | {here:.2f} | {there:.2f} | {there - here:.2f} |")


def _get(client: httpx.Client) -> httpx.Response:
    return client.get("/sandboxes/ione")


def _create(client: httpx.Client) -> httpx.Response:
    return client.post("/v2/sandboxes", json={"templateID": "base", "timeout": 60})


def _client(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"X-API-Key": KEY}, trust_env=False)


if __name__ == "__main__":
    sys.exit(main())
