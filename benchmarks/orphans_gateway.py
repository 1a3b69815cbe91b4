"""What does the gateway add to a request?

    python benchmarks/orphans_gateway.py [--requests 400]

A small service on loopback is asked directly (the baseline) and through the gateway, in
turn, over one kept connection each. A create waits for one line to be forced to disk; what
that takes here is shown beside it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

import httpx
from e2b_stand_in import KEY, StandIn, serve
from measuring import Row, median, milliseconds, quantile, show

from harness.gateway import Gateway

AIM = "at most +3 ms"
LINE = b"x" * 400 + b"\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=400)
    told = parser.parse_args()
    rows: list[Row] = []
    with (
        serve() as service,
        tempfile.TemporaryDirectory(prefix="gateway-") as folder,
        Gateway(upstream=service.url, key=KEY, state_dir=Path(folder)) as gateway,
        _client(service.url) as direct,
        _client(gateway.endpoint.env["E2B_API_URL"]) as through,
    ):
        service.plant("ione")
        for name, ask, count in (
            ("GET /sandboxes/{id}", _get, told.requests),
            ("POST /v2/sandboxes", _create, told.requests // 4),
        ):
            rows += _compare(
                name, ask, direct=direct, through=through, service=service, count=count
            )
        forced_ms = _forced(Path(folder) / "line", told.requests // 4)
        rows.append(Row("a line forced to disk, p50", f"{median(forced_ms):.2f} ms"))
        for sandbox_id in gateway.alive():
            service.sandboxes.pop(sandbox_id, None)
    show("the gateway", rows)
    return 0


def _compare(
    name: str,
    ask: Callable[[httpx.Client], httpx.Response],
    *,
    direct: httpx.Client,
    through: httpx.Client,
    service: StandIn,
    count: int,
) -> list[Row]:
    took: dict[bool, list[float]] = {False: [], True: []}
    for number in range(2 * count):
        by_gateway = bool(number % 2)
        client = through if by_gateway else direct
        took[by_gateway] += milliseconds(lambda asked=client: ask(asked), times=1)
        service.requests.clear()
        service.headers.clear()
    return [
        Row(
            f"{name}, {share}",
            f"{there - here:+.2f} ms",
            aim,
            f"{here:.2f} ms without it",
            f"{there / here:.1f}",
        )
        for share, aim, here, there in (
            ("p50", AIM, median(took[False]), median(took[True])),
            ("p95", "", quantile(took[False], 0.95), quantile(took[True], 0.95)),
        )
    ]


def _forced(file: Path, times: int) -> list[float]:
    descriptor = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def force() -> None:
        os.write(descriptor, LINE)
        os.fsync(descriptor)

    found = milliseconds(force, times=times)
    os.close(descriptor)
    return found


def _get(client: httpx.Client) -> httpx.Response:
    return client.get("/sandboxes/ione").raise_for_status()


def _create(client: httpx.Client) -> httpx.Response:
    body = {"templateID": "base", "timeout": 60}
    return client.post("/v2/sandboxes", json=body).raise_for_status()


def _client(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"X-API-Key": KEY}, trust_env=False)


if __name__ == "__main__":
    sys.exit(main())
