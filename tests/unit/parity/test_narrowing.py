from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parity_runs import RunFolder, run

from harness.parity import contents, narrowing
from harness.parity.comparison import compare_evidence
from harness.parity.delta import Delta
from harness.parity.narrowing import narrow
from harness.parity.normalise import normalise_evidence

HEAD = b"id,v\n"


def compared(root: Path, local: bytes, remote: bytes) -> list[tuple[str, ...]]:
    sides = []
    for side, data in (("l", local), ("r", remote)):
        sides.append(normalise_evidence(run(files=[RunFolder(root / side).file("t.csv", data)])))
    found: list[Delta] = list(compare_evidence(sides[0], sides[1]))
    return [(d.path, d.kind, str(d.count), str(d.local), str(d.remote)) for d in found]


def test_only_records_that_differ_are_left(tmp_path: Path) -> None:
    """A record may hold ends of lines; numbers count records, and not lines."""
    local = HEAD + b'1,"a\nb"\n2,"x\n\ny"\n3,c\n4,d\n'
    paths = tmp_path / "l.csv", tmp_path / "r.csv"
    paths[0].write_bytes(local)
    paths[1].write_bytes(local.replace(b"x\n\ny", b"x\n\nz").replace(b"4,d", b"4,dd"))
    found = narrow(*paths, tmp_path, header=True)
    assert found is not None
    assert (found.numbers, found.total) == ((1, 3), 4)
    assert found.local.read_bytes() == HEAD + b'2,"x\n\ny"\n4,d\n'
    assert found.remote.read_bytes() == HEAD + b'2,"x\n\nz"\n4,dd\n'


@pytest.mark.parametrize(
    "remote",
    [HEAD, HEAD + b"1,a\n", b"id,w\n1,a\n2,b\n", b"", HEAD + b"1,a\n2,b\n3,c\n"],
    ids=["no-row", "row-lost", "other-header", "empty", "row-more"],
)
def test_files_of_other_length_or_header_are_not_narrowed(tmp_path: Path, remote: bytes) -> None:
    """What is no pair of records at one place is left to the whole comparison."""
    paths = tmp_path / "l.csv", tmp_path / "r.csv"
    paths[0].write_bytes(HEAD + b"1,a\n2,b\n")
    paths[1].write_bytes(remote)
    assert narrow(*paths, tmp_path, header=True) is None


def test_many_differences_are_not_narrowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a bound; what is beyond it is read whole."""
    monkeypatch.setattr(narrowing, "MAX_RECORDS", 3)
    paths = tmp_path / "l.csv", tmp_path / "r.csv"
    paths[0].write_bytes(HEAD + b"1,a\n" * 9)
    paths[1].write_bytes(HEAD + b"1,b\n" * 9)
    assert narrow(*paths, tmp_path, header=True) is None


cells = st.sampled_from([b"", b"1", b"2", b'"x,y"', b'"q""\n"', b'"\n"', b"word"])
rows = st.lists(st.tuples(cells, cells), min_size=1, max_size=8)


@settings(max_examples=25, deadline=None)
@given(local=rows, remote=rows, chunk=st.sampled_from([3, 7, 1 << 20]), ended=st.booleans())
def test_narrowed_comparison_says_what_the_whole_one_says(
    tmp_path_factory: pytest.TempPathFactory,
    local: list[tuple[bytes, bytes]],
    remote: list[tuple[bytes, bytes]],
    chunk: int,
    *,
    ended: bool,
) -> None:
    """Whatever differs: the same places, counts, rows and values."""
    remote = [*remote, *local][: len(local)] if chunk != 7 else remote
    data = [
        HEAD + b"\n".join(b",".join(row) for row in table) + (b"\n" if ended else b"")
        for table in (local, remote)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(narrowing, "CHUNK_BYTES", chunk)
        whole = compared(tmp_path_factory.mktemp("whole"), *data)
        patch.setattr(contents, "NARROWED_FROM_BYTES", 0)
        assert compared(tmp_path_factory.mktemp("narrowed"), *data) == whole


@given(
    st.lists(st.sampled_from([b'"', b"\n", b"a", b","]), max_size=30).map(b"".join), st.booleans()
)
def test_ends_of_records_are_those_outside_quotes(piece: bytes, odd: bool) -> None:  # noqa: FBT001 - drawn
    """Counted and placed as by reading one byte after the other."""
    inside, ends = odd, []
    for at, byte in enumerate(piece):
        inside ^= byte == b'"'[0]
        if byte == b"\n"[0] and not inside:
            ends.append(at)
    assert narrowing._ends(piece, odd=odd) == (len(ends), ends[-1] if ends else -1, inside)


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_common_bytes_are_the_same_and_the_next_is_not(mine: bytes, theirs: bytes) -> None:
    """As far as both go."""
    common = narrowing._common(mine, theirs)
    assert mine[:common] == theirs[:common]
    assert common == min(len(mine), len(theirs)) or mine[common] != theirs[common]
