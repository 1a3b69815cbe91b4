"""Shrinking keeps what it was asked to keep, and nothing else; it asks as little as it may."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest

from harness.model.difference import Difference
from harness.model.run import PipelineCase
from harness.parity.shrinking import fault_of, shrink
from harness.ports import Sketch


@dataclass(frozen=True)
class Letters:
    """A pipeline of letters; a step is a letter."""

    text: str

    @property
    def step_count(self) -> int:
        return len(self.text)

    @property
    def size_bytes(self) -> int:
        return sum(map(ord, self.text))

    @property
    def weight(self) -> tuple[int, ...]:
        return self.step_count, self.size_bytes

    def case(self, name: str, *, purpose: str) -> PipelineCase:
        return PipelineCase(name=name, purpose=purpose, oml=self.text)

    def smaller(self) -> Iterator[Letters]:
        for at in range(len(self.text)):
            yield Letters(self.text[:at] + self.text[at + 1 :])
        for at in range(len(self.text)):
            yield Letters(f"{self.text[:at]}a{self.text[at + 1 :]}")


def shows_all(wanted: str, asked: list[str] | None = None) -> Callable[..., list[bool]]:
    def shows(sketches: Sequence[Sketch]) -> list[bool]:
        texts = [item.text for item in sketches if isinstance(item, Letters)]
        if asked is not None:
            asked.extend(texts)
        return [set(wanted) <= set(text) for text in texts]

    return shows


@pytest.mark.parametrize("side_by_side", [1, 2, 7])
def test_shrink_keeps_only_what_shows_the_fault(side_by_side: int) -> None:
    """Two letters out of nine are left, whatever is asked side by side."""
    shrunk = shrink(Letters("gfxedycba"), shows_all("xy"), side_by_side=side_by_side)
    assert (shrunk.sketch, shrunk.whole) == (Letters("xy"), True)


def test_shrink_never_asks_about_what_is_not_smaller() -> None:
    """Each attempt costs two runs: a cut that saves nothing is no attempt."""
    asked: list[str] = []
    shrink(Letters("aax"), shows_all("x", asked))
    assert "aax" not in asked
    assert all(Letters(text).weight < Letters("aax").weight for text in asked)


def test_shrink_without_attempts_left_keeps_the_smallest_so_far() -> None:
    """Where the attempts run out, what is known is the answer, and it says so."""
    left = iter(range(3))
    shows = shows_all("x")

    def few(sketches: Sequence[Sketch]) -> list[bool] | None:
        return None if next(left, None) is None else shows(sketches)

    shrunk = shrink(Letters("abcdex"), few)
    assert (shrunk.sketch, shrunk.whole) == (Letters("dex"), False)


def test_shrink_of_what_cannot_be_smaller_is_the_same() -> None:
    """A pipeline that is minimal stays as it is."""
    shrunk = shrink(Letters("x"), shows_all("x"))
    assert (shrunk.sketch, shrunk.whole) == (Letters("x"), True)


def difference(path: str, kind: str = "missing") -> Difference:
    return Difference(
        id="0123456789", path=path, kind=kind, local="1", remote=None, pipelines=("one",)
    )


def test_fault_is_the_same_under_another_name_of_the_output() -> None:
    """Which file a pipeline writes is its own choice; what differs in it is the fault."""
    rows = [
        fault_of(difference(f"files/output/output/{name}.csv/rows"), [f"output/{name}.csv"])
        for name in ("a", "b")
    ]
    assert rows == ["missing files/output/*/rows"] * 2


def test_fault_is_the_same_under_another_name_of_the_input() -> None:
    """The same for what a pipeline reads, where the name is one word of a path."""
    sent = [
        fault_of(difference(f"wire/files/input~1{name}.csv"), [f"input/{name}.csv"])
        for name in ("a", "b")
    ]
    assert sent == ["missing wire/files/*"] * 2


def test_fault_of_anything_else_is_the_difference_itself() -> None:
    """Control: another path, kind or a file that nobody promised is told apart."""
    outputs = ["output/a.csv"]
    assert fault_of(difference("outcome"), outputs) == "0123456789"
    assert fault_of(difference("files/output/output/a.csv.bak"), outputs) == "0123456789"
    extra = fault_of(difference("files/output/output/a.csv", "extra"), outputs)
    assert extra == "extra files/output/*"
    assert extra != fault_of(difference("files/output/output/a.csv"), outputs)
