from __future__ import annotations

import pytest

from harness.parity import alignment
from harness.parity.alignment import align


@pytest.mark.parametrize(
    ("left", "right", "pairs"),
    [
        ("abc", "abc", [(0, 0), (1, 1), (2, 2)]),
        ("abc", "ac", [(0, 0), (1, None), (2, 1)]),
        ("ac", "abc", [(0, 0), (None, 1), (1, 2)]),
        ("abc", "axc", [(0, 0), (1, 1), (2, 2)]),
        ("", "ab", [(None, 0), (None, 1)]),
        ("aab", "ab", [(0, 0), (1, None), (2, 1)]),
    ],
)
def test_align_pairs_what_belongs_together(
    left: str, right: str, pairs: list[tuple[int | None, int | None]]
) -> None:
    """One insertion or loss does not shift what follows."""
    assert align(left, right) == pairs


def test_align_of_long_sequences_finds_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """The quick method for long sequences pairs a lost element as well."""
    monkeypatch.setattr(alignment, "MAX_CELLS", 0)
    left = [f"x{n % 7}-{n}" for n in range(300)]
    right = ["first", *left[:100], *left[101:250], "new", *left[250:], "last"]
    pairs = align(left, right)
    assert [at for at, to in pairs if to is None] == [100]
    assert [right[to] for at, to in pairs if at is None and to is not None] == [
        "first",
        "new",
        "last",
    ]
