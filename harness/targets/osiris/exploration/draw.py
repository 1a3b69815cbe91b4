"""Draws pipelines with hypothesis: typed data, step graphs, options, failures.

hypothesis draws, because the same seed and number give the same pipelines, and its
draws are both plain and odd. It does not shrink here: it knows one failure at a
time, and each of its attempts would cost a run on both sides; what is found is made
smaller by `harness.parity.shrinking`, which knows what each run has shown already.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from harness.targets.osiris.exploration.sketch import OsirisSketch
from harness.targets.osiris.exploration.steps import (
    COLUMNS,
    FAULTS,
    WRITER_OPTIONS,
    Extract,
    Generate,
    Operation,
    Probe,
    Step,
    Transform,
    Write,
)

__all__ = ["draw_sketches"]

MAX_STEPS = 7
MAX_ROWS = 40
SPARE = 2  # hypothesis may draw a pipeline twice: some more are asked for
_NAMES = ("generate", "orders", "keep-even", "2nd", "with.dot", "Caps", "under_score", "join")
_ONE_IN_TEN = st.integers(0, 9).map(lambda number: number == 7)  # noqa: PLR2004 - any of the ten
_ONE_IN_FOUR = st.integers(0, 3).map(lambda number: number == 2)  # noqa: PLR2004 - any of the four
_COLUMNS = st.lists(
    st.sampled_from([name for name in COLUMNS if name != "id"]), max_size=5, unique=True
).map(lambda names: ("id", *names))


def draw_sketches(*, count: int, seed_number: int) -> tuple[OsirisSketch, ...]:
    """Different pipelines; the same seed and count give the same ones.

    Args:
        count: how many; above zero.
        seed_number: any whole number.
    """
    found: dict[OsirisSketch, None] = {}

    @seed(seed_number)
    @settings(
        max_examples=count * SPARE,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(_sketches())
    def take(sketch: OsirisSketch) -> None:
        if len(found) < count:
            found.setdefault(sketch)

    take()
    return tuple(found)


@st.composite
def _sketches(draw: Callable[[st.SearchStrategy[Any]], Any]) -> OsirisSketch:
    steps: list[Step] = []
    first = draw(st.integers(0, len(_NAMES) - 1))
    names = (*_NAMES[first:], *_NAMES[:first])
    length = draw(st.integers(1, MAX_STEPS))
    writers = 0
    for number in range(length):
        tables = [step.id for step in steps if not isinstance(step, Write)]
        step = draw(_step(names[number], tables, [item.id for item in steps], writers + 1))
        writers += isinstance(step, Write)
        steps.append(step)
    return OsirisSketch(steps=tuple(steps))


def _step(
    name: str, tables: list[str], everyone: list[str], writer: int
) -> st.SearchStrategy[Step]:
    """A step behind those that are there; only the first has nothing to read."""
    kinds: list[st.SearchStrategy[Step]] = [_generate(name, everyone)]
    if tables:
        kinds += [
            _transform(name, tables),
            _write(name, tables, writer),
            _write(name, tables, writer),
        ]
    extract: st.SearchStrategy[Step] = st.builds(
        Extract,
        id=st.just(name),
        rows=st.integers(0, 4),
        delimiter=st.sampled_from([",", ",", ";"]),
        encoding=st.sampled_from(["utf-8", "utf-8", "latin-1"]),
        absent=_ONE_IN_TEN,
    )
    return _ONE_IN_TEN.flatmap(lambda chosen: extract if chosen else st.one_of(kinds))


def _generate(name: str, everyone: list[str]) -> st.SearchStrategy[Step]:
    waits = st.lists(st.sampled_from(everyone), max_size=1) if everyone else st.just([])
    return st.builds(
        Generate,
        id=st.just(name),
        needs=_ONE_IN_FOUR.flatmap(lambda chosen: waits if chosen else st.just([])).map(tuple),
        columns=_COLUMNS,
        rows=st.one_of(st.integers(0, 3), st.integers(0, MAX_ROWS)),
        fault=_ONE_IN_TEN.flatmap(
            lambda chosen: st.sampled_from(sorted(FAULTS)) if chosen else st.none()
        ),
        probe=_ONE_IN_TEN.flatmap(
            lambda chosen: st.sampled_from(list(Probe)) if chosen else st.none()
        ),
        parameter=_ONE_IN_FOUR,
    )


def _transform(name: str, tables: list[str]) -> st.SearchStrategy[Step]:
    return st.builds(
        Transform,
        id=st.just(name),
        needs=st.lists(st.sampled_from(tables), min_size=1, max_size=3, unique=True).map(tuple),
        operation=st.sampled_from(list(Operation)),
    )


def _write(name: str, tables: list[str], number: int) -> st.SearchStrategy[Step]:
    options = st.fixed_dictionaries(
        {}, optional={key: st.sampled_from(values) for key, values in WRITER_OPTIONS.items()}
    )
    return st.builds(
        Write,
        id=st.just(name),
        needs=st.sampled_from(tables).map(lambda table: (table,)),
        number=st.just(number),
        options=_ONE_IN_FOUR.flatmap(lambda chosen: options if chosen else st.just({})).map(
            lambda chosen: tuple(sorted(chosen.items()))
        ),
        parameter=_ONE_IN_TEN,
    )
