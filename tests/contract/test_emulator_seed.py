"""Ids by seed: the same after each start and each reset."""

from __future__ import annotations

import httpx

from harness.emulator.attach import Emulator


def _ids(emulator: Emulator) -> list[str]:
    url, key = emulator.env["E2B_API_URL"], emulator.env["E2B_API_KEY"]
    made = [
        httpx.post(
            f"{url}/v2/sandboxes",
            json={"templateID": "base"},
            headers={"X-API-Key": key},
            timeout=60,
        ).json()
        for _ in range(2)
    ]
    return [sandbox["sandboxID"] for sandbox in made]


def test_seeded_ids_repeat_after_reset_and_start() -> None:
    """One seed, one order of ids; another seed, another; a token never repeats."""
    with Emulator("--seed", "7") as emulator:
        first, key = _ids(emulator), emulator.env["E2B_API_KEY"]
        emulator.reset()
        assert _ids(emulator) == first
    with Emulator("--seed", "7") as emulator:
        assert _ids(emulator) == first
        assert emulator.env["E2B_API_KEY"] != key
    with Emulator("--seed", "8") as emulator:
        assert _ids(emulator) != first
    assert len(set(first)) == len(first)


def test_ids_without_a_seed_never_repeat() -> None:
    """A reset alone brings no id back."""
    with Emulator() as emulator:
        first = _ids(emulator)
        emulator.reset()
        assert not set(first) & set(_ids(emulator))
