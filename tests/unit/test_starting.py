"""A start looks for garbage rarely, and what serves afterwards looks as usual."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from harness import starting


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def test_start_collects_nothing_until_it_is_over() -> None:
    """As many objects as a start leaves bring no collection, and do when it is over."""
    usual = gc.get_threshold()
    gc.collect()
    seen: list[int] = []

    def look(phase: str, details: dict[str, int]) -> None:
        del details
        if phase == "start":
            seen.append(1)

    gc.callbacks.append(look)
    try:
        starting.begin()
        kept: list[list[int]] = [[] for _ in range(82_000)]
        assert not seen
        starting.over()
        assert gc.get_threshold() == usual
        assert gc.get_freeze_count() >= len(kept)
        kept += [[] for _ in range(82_000)]
        assert seen
    finally:
        gc.callbacks.remove(look)
