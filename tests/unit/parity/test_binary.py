from __future__ import annotations

from pathlib import Path

import pytest

from harness.parity import binary
from harness.parity.binary import compare_bytes, first_difference
from harness.parity.values import Place

HERE = Place(path="f", site="f")


@pytest.mark.parametrize(
    ("local", "remote", "offset"),
    [
        (b"", b"", None),
        (b"abc", b"abc", None),
        (b"abc", b"abd", 2),
        (b"abc", b"ab", 2),
        (b"", b"a", 0),
        (b"x" * 10 + b"a", b"x" * 10 + b"b", 10),
    ],
)
def test_first_difference_is_found_over_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, local: bytes, remote: bytes, offset: int | None
) -> None:
    """The offset is exact, also where it lies in a later chunk."""
    monkeypatch.setattr(binary, "CHUNK_BYTES", 4)
    (tmp_path / "l").write_bytes(local)
    (tmp_path / "r").write_bytes(remote)
    assert first_difference(tmp_path / "l", tmp_path / "r") == offset


def test_window_shows_both_sides_in_hexadecimal(tmp_path: Path) -> None:
    """A reader sees the bytes around the place, and where a file ends."""
    (tmp_path / "l").write_bytes(bytes(range(32)))
    (tmp_path / "r").write_bytes(bytes(range(20)))
    (delta,) = compare_bytes(tmp_path / "l", tmp_path / "r", HERE)
    assert delta.path == "f/bytes"
    assert delta.local == "32 bytes; at 12: 0c 0d 0e 0f 10 11 12 13 14 15 16 17 18 19 1a 1b"
    assert delta.remote == "20 bytes; at 12: 0c 0d 0e 0f 10 11 12 13 (end of file)"
