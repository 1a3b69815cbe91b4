"""Many at once on a small plan: the gateway waits for the plan where it was asked to."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from harness.emulator.attach import Emulator
from harness.gateway import Gateway

pytestmark = pytest.mark.e2b


def create(gateway: Gateway) -> int:
    env = gateway.endpoint.env
    answer = httpx.post(
        f"{env['E2B_API_URL']}/sandboxes",
        json={"templateID": "base", "timeout": 60},
        headers={"X-API-Key": env["E2B_API_KEY"]},
        timeout=60,
        trust_env=False,
    )
    return answer.status_code


@pytest.mark.parametrize(("patience_s", "creates", "refused"), [(50.0, 3, False), (0.0, 12, True)])
def test_creates_past_a_hobby_plan_wait_and_do_not_fail(
    tmp_path: Path, patience_s: float, creates: int, *, refused: bool
) -> None:
    """One create a second is allowed and some come at once; control: without patience, 429."""
    with (
        Emulator("--plan", "hobby") as emulator,
        Gateway(upstream=emulator.endpoint, state_dir=tmp_path, patience_s=patience_s) as gateway,
        ThreadPoolExecutor(creates) as threads,
    ):
        answers = Counter(threads.map(lambda _: create(gateway), range(creates)))
    assert (answers[429] > 0) is refused
    assert answers[201] + answers[429] == creates
